package org.leanclip.app

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context

/** Indexes new photos while the phone is charging, if the user chose so. */
class IndexJob : JobService(), Indexing.Listener {
    private var parameters: JobParameters? = null

    override fun onStartJob(parameters: JobParameters): Boolean {
        this.parameters = parameters
        Indexing.add(this)
        Indexing.start(this)
        return true
    }

    /** The charger was unplugged, or the time is up: goes on another time. */
    override fun onStopJob(parameters: JobParameters): Boolean {
        Indexing.remove(this)
        Indexing.stop()
        return true
    }

    override fun onProgress(progress: Indexing.Progress) = Unit

    override fun onEnd(error: String?) {
        Indexing.remove(this)
        parameters?.let { jobFinished(it, false) }
    }

    companion object {
        private const val ID = 1
        private const val PERIOD_MS = 60 * 60 * 1000L

        /** Starts or stops the hourly job, as the settings say; it survives a restart. */
        fun schedule(context: Context) {
            val scheduler = context.getSystemService(JobScheduler::class.java)
            if (!Settings(context).whileCharging) {
                scheduler.cancel(ID)
                return
            }
            scheduler.schedule(
                JobInfo.Builder(ID, ComponentName(context, IndexJob::class.java))
                    .setRequiresCharging(true)
                    .setPersisted(true)
                    .setPeriodic(PERIOD_MS)
                    .build())
        }
    }
}
