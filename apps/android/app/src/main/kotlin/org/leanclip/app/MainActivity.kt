package org.leanclip.app

import android.app.Activity
import android.app.AlertDialog
import android.content.ActivityNotFoundException
import android.content.Intent
import android.os.Bundle
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.EditText
import android.widget.GridView
import android.widget.TextView
import android.widget.Toast
import java.util.concurrent.Executors

/** Search by a sentence or a photo, and a grid of what was found. */
class MainActivity : Activity(), Indexing.Listener {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var grid: PhotoGrid
    private lateinit var status: TextView
    private lateinit var query: EditText

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.main)
        status = findViewById(R.id.status)
        query = findViewById(R.id.query)
        grid = PhotoGrid(this)
        query.setOnEditorActionListener { _, _, _ -> searchForText() }
        findViewById<View>(R.id.pick).setOnClickListener { pickPhoto() }
        findViewById<GridView>(R.id.grid).apply {
            adapter = grid
            setOnItemClickListener { _, _, _, id -> open(id) }
            setOnItemLongClickListener { _, _, _, id -> searchForSimilar(id) }
        }
        status.setOnClickListener { if (!PhotoLibrary.isAllowed(this)) askForPhotos() }
        if (state == null && !PhotoLibrary.isAllowed(this)) askForPhotos()
    }

    override fun onStart() {
        super.onStart()
        Indexing.add(this)
        showState()
    }

    override fun onStop() {
        super.onStop()
        Indexing.remove(this)
    }

    override fun onDestroy() {
        super.onDestroy()
        grid.close()
        worker.shutdown()
    }

    override fun onRequestPermissionsResult(
        code: Int,
        permissions: Array<String>,
        results: IntArray,
    ) = showState()

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menu.add(0, R.string.index_now, 0, R.string.index_now)
        menu.add(0, R.string.stop, 0, R.string.stop)
        menu.add(0, R.string.while_charging, 0, R.string.while_charging).isCheckable = true
        menu.add(0, R.string.accelerators, 0, R.string.accelerators).isCheckable = true
        menu.add(0, R.string.about, 0, R.string.about)
        return true
    }

    override fun onPrepareOptionsMenu(menu: Menu): Boolean {
        val settings = Settings(this)
        menu.findItem(R.string.index_now)?.isVisible = !Indexing.isRunning
        menu.findItem(R.string.stop)?.isVisible = Indexing.isRunning
        menu.findItem(R.string.while_charging)?.isChecked = settings.whileCharging
        menu.findItem(R.string.accelerators)?.isChecked = settings.accelerate
        menu.findItem(R.string.accelerators)?.isEnabled = !Indexing.isRunning
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        val settings = Settings(this)
        when (item.itemId) {
            R.string.index_now -> index()
            R.string.stop -> Indexing.stop()
            R.string.while_charging -> {
                settings.whileCharging = !settings.whileCharging
                IndexJob.schedule(this)
            }
            R.string.accelerators -> {
                settings.accelerate = !settings.accelerate
                worker.execute { Session.forget() }
                showState()
            }
            R.string.about -> about()
            else -> return super.onOptionsItemSelected(item)
        }
        return true
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val photo = data?.data
        if (request == PICK && result == RESULT_OK && photo != null) {
            search { session -> session.model.encode(this, photo) }
        }
    }

    override fun onProgress(progress: Indexing.Progress) {
        status.text = getString(R.string.indexing, progress.done, progress.total)
    }

    override fun onEnd(error: String?) {
        if (error == null) showState() else status.text = error
    }

    private fun askForPhotos() = requestPermissions(PhotoLibrary.permissions, PERMISSION)

    private fun index() {
        if (PhotoLibrary.isAllowed(this)) {
            status.setText(R.string.loading)
            Indexing.start(this)
        } else {
            askForPhotos()
        }
    }

    private fun searchForText(): Boolean {
        getSystemService(InputMethodManager::class.java)
            .hideSoftInputFromWindow(query.windowToken, 0)
        val sentence = query.text.toString()
        search { session -> session.model.encode(sentence) }
        return true
    }

    private fun searchForSimilar(id: Long): Boolean {
        search { session -> session.index.vector(id) }
        return true
    }

    /** Any photo that some app offers, one that is not indexed too. */
    private fun pickPhoto() {
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
        try {
            startActivityForResult(intent.setType("image/*"), PICK)
        } catch (ignored: ActivityNotFoundException) {
            Toast.makeText(this, R.string.no_viewer, Toast.LENGTH_LONG).show()
        }
    }

    private fun search(vector: (Session) -> FloatArray?) = inBackground { session ->
        val found = vector(session)?.let { session.index.search(it, MOST_SHOWN) }.orEmpty()
        val ids = found.map { it.id }
        runOnUiThread {
            grid.show(ids)
            findViewById<GridView>(R.id.grid).setSelection(0)
        }
        session.index.size()
    }

    private fun showState() {
        if (!PhotoLibrary.isAllowed(this)) {
            status.setText(R.string.allow)
        } else if (!Indexing.isRunning) {
            status.setText(R.string.loading)
            inBackground { session -> session.index.size() }
        }
    }

    /** Shows how many photos there are, or what went wrong, when the work is done. */
    private fun inBackground(work: (Session) -> Int) {
        worker.execute {
            val line =
                try {
                    val photos = work(Session.open(this))
                    if (photos > 0) getString(R.string.ready, photos)
                    else getString(R.string.nothing)
                } catch (error: Exception) {
                    error.message ?: error.toString()
                }
            runOnUiThread { if (!Indexing.isRunning) status.text = line }
        }
    }

    private fun open(id: Long) {
        val view = Intent(Intent.ACTION_VIEW).setDataAndType(PhotoLibrary.uri(id), "image/*")
        try {
            startActivity(view.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION))
        } catch (ignored: ActivityNotFoundException) {
            Toast.makeText(this, R.string.no_viewer, Toast.LENGTH_LONG).show()
        }
    }

    private fun about() = inBackground { session ->
        val (image, text) = session.model.image to session.model.text
        val line =
            getString(
                R.string.about_text,
                session.model.bundle.name,
                image.file.file,
                image.delegate,
                image.golden.worstCosine,
                text.file.file,
                text.delegate,
                text.golden.worstCosine,
                session.index.size(),
                session.index.unreadable().size)
        val tried = (image.failures + text.failures).joinToString("") { "\n\n$it" }
        runOnUiThread { AlertDialog.Builder(this).setMessage(line + tried).show() }
        session.index.size()
    }

    private companion object {
        const val PERMISSION = 1
        const val PICK = 2
        const val MOST_SHOWN = 200
    }
}
