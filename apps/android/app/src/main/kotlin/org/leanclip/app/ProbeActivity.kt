package org.leanclip.app

import android.app.Activity
import android.os.Bundle
import android.widget.TextView
import java.io.File
import java.io.IOException
import kotlin.concurrent.thread
import org.leanclip.core.GoldenCheck
import org.leanclip.core.Probe
import org.leanclip.core.ProbeJob
import org.leanclip.core.Tokenizer

/**
 * Does the job that `leanclip probe` laid into `files/probe/RUN`, and leaves the result there.
 *
 * Started by `am start -n org.leanclip.app/.ProbeActivity --es run RUN`, in debug builds only.
 */
class ProbeActivity : Activity() {

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.probe)
        // A turned phone must not start the job a second time.
        if (state != null) return
        val run = intent.getStringExtra("run").orEmpty()
        if (!run.matches(Regex("[A-Za-z0-9-]+"))) return finish()
        thread(name = "probe") { run(File(File(filesDir, "probe"), run)) }
    }

    private fun run(folder: File) {
        try {
            write(folder, ProbeJob.RESULT, probe(folder))
            say(getString(R.string.probe_done))
        } catch (error: Exception) {
            val line = error.message ?: error.toString()
            say(line)
            write(folder, ProbeJob.FAILURE, line)
        }
    }

    private fun probe(folder: File): String {
        val job = ProbeJob.read(folder)
        val decoder = PhotoDecoder(job.bundle.preprocessing)
        val check = GoldenCheck.of(job.bundle, Tokenizer(job.bundle), decoder)
        val runtimes = Runtimes(job.bundle, job.threads, false)
        return Probe(job, Phone(this), runtimes, check).run(BuildConfig.VERSION_NAME) { file ->
            say(getString(R.string.probing, file))
        }
    }

    /** The command looks for the name, so it must not see half a file. */
    private fun write(folder: File, name: String, text: String) {
        val unfinished = File(folder, "$name.unfinished")
        unfinished.writeText(text)
        if (!unfinished.renameTo(File(folder, name))) {
            throw IOException("$unfinished cannot be renamed")
        }
    }

    private fun say(what: String) = runOnUiThread { findViewById<TextView>(R.id.what).text = what }
}
