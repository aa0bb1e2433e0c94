package org.leanclip.app

import android.content.Context
import java.io.File
import org.leanclip.core.PhotoIndex

/** The model and its index, loaded once for the process. */
class Session private constructor(val model: Model, val index: PhotoIndex) {

    companion object {
        private const val FOLDER = "index"
        private var current: Session? = null

        /**
         * Loads the model at the first call; not on the main thread.
         *
         * @throws org.leanclip.core.BundleException the bundle is missing, damaged or fails.
         * @throws java.io.IOException the index cannot be written.
         */
        @Synchronized
        fun open(context: Context): Session =
            current
                ?: load(context.applicationContext).also { current = it }

        /** Lets the next [open] choose anew; nothing may be running. */
        @Synchronized
        fun forget() {
            current?.model?.close()
            current?.index?.close()
            current = null
        }

        private fun load(context: Context): Session {
            val model = Model.load(context, Settings(context).accelerate)
            // A folder for each embedding space, so that vectors of two models never mix.
            val space = model.bundle.fingerprint.replace(Regex("[^A-Za-z0-9_-]"), "_")
            val folder = File(File(context.filesDir, FOLDER), space)
            try {
                return Session(model, PhotoIndex(folder, model.bundle.embeddingDim))
            } catch (error: Exception) {
                model.close()
                throw error
            }
        }
    }
}
