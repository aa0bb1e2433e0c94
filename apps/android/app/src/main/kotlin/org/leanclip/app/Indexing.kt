package org.leanclip.app

import android.content.Context
import android.os.Handler
import android.os.Looper
import java.io.FileNotFoundException
import java.util.concurrent.CopyOnWriteArraySet
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean

/** Brings the index up to date, one run at a time, wherever it is asked for. */
object Indexing {
    /** How far a run is; null when none is going on. */
    class Progress(val done: Int, val total: Int)

    /** Called on the main thread. */
    interface Listener {
        fun onProgress(progress: Progress)

        /** The run ended; [error] is one line for the user, null if all went well. */
        fun onEnd(error: String?)
    }

    private const val PHOTOS_A_COMMIT = 16

    private val main = Handler(Looper.getMainLooper())
    private val executor = Executors.newSingleThreadExecutor()
    private val listeners = CopyOnWriteArraySet<Listener>()
    private val stopped = AtomicBoolean()
    private val running = AtomicBoolean()

    val isRunning: Boolean
        get() = running.get()

    fun add(listener: Listener) = listeners.add(listener)

    fun remove(listener: Listener) = listeners.remove(listener)

    /** Starts a run unless one is going on, whose end listeners then hear. */
    fun start(context: Context) {
        if (!running.compareAndSet(false, true)) return
        stopped.set(false)
        val application = context.applicationContext
        executor.execute {
            val error =
                try {
                    update(application)
                    null
                } catch (error: Exception) {
                    error.message ?: error.toString()
                }
            running.set(false)
            main.post { listeners.forEach { it.onEnd(error) } }
        }
    }

    /** Lets the run end after the photo at hand; what it indexed stays. */
    fun stop() = stopped.set(true)

    private fun update(context: Context) {
        // Without leave, the library looks empty, and every photo would be dropped.
        if (!PhotoLibrary.isAllowed(context)) return
        val session = Session.open(context)
        val photos = PhotoLibrary.photos(context)
        session.index.keepOnly(photos.mapTo(HashSet()) { it.id })
        val waiting = photos.filterNot { session.index.knows(it.id, it.modified, it.size) }
        for ((place, photo) in waiting.withIndex()) {
            if (stopped.get()) break
            index(context, session, photo)
            if (place % PHOTOS_A_COMMIT == PHOTOS_A_COMMIT - 1) session.index.commit()
            val progress = Progress(place + 1, waiting.size)
            main.post { listeners.forEach { it.onProgress(progress) } }
        }
        session.index.commit()
        session.index.compactIfWorthwhile()
    }

    /** One bad photo never stops the run: it is remembered with the reason. */
    private fun index(context: Context, session: Session, photo: PhotoLibrary.Photo) {
        try {
            val vector = session.model.encode(context, PhotoLibrary.uri(photo.id))
            session.index.add(photo.id, photo.modified, photo.size, vector)
        } catch (ignored: FileNotFoundException) {
            // Deleted a moment ago; the next run drops it.
        } catch (ignored: SecurityException) {
            // No longer shared with the app.
        } catch (error: Exception) {
            unreadable(session, photo, error)
        } catch (error: OutOfMemoryError) {
            unreadable(session, photo, error)
        }
    }

    private fun unreadable(session: Session, photo: PhotoLibrary.Photo, error: Throwable) {
        val reason = error.message ?: error.javaClass.simpleName
        session.index.addUnreadable(photo.id, photo.modified, photo.size, reason)
    }
}
