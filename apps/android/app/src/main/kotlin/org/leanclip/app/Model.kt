package org.leanclip.app

import android.content.Context
import android.net.Uri
import android.os.Build
import java.io.File
import org.leanclip.core.Bundle
import org.leanclip.core.GoldenCheck
import org.leanclip.core.Quarantine
import org.leanclip.core.Tokenizer
import org.leanclip.core.TowerChoice
import org.leanclip.core.TowerFile
import org.leanclip.core.TowerInput

/** Both towers of a bundle, after they passed their golden test on this phone. */
class Model
private constructor(
    val bundle: Bundle,
    private val tokenizer: Tokenizer,
    private val decoder: PhotoDecoder,
    val image: TowerChoice,
    val text: TowerChoice,
) {
    /**
     * The vector of a photo.
     *
     * @throws java.io.IOException it cannot be read.
     */
    fun encode(context: Context, photo: Uri): FloatArray {
        val rgb = decoder.decode(context.contentResolver, photo)
        val input = TowerInput.ofPixels(rgb, image.file, bundle.preprocessing)
        return synchronized(image) { image.tower.run(input) }
    }

    /** The vector of a sentence. */
    fun encode(sentence: String): FloatArray =
        synchronized(text) {
            text.tower.run(TowerInput.ofIds(tokenizer.encode(sentence), text.file))
        }

    fun close() {
        synchronized(image) { image.tower.close() }
        synchronized(text) { text.tower.close() }
    }

    companion object {
        /**
         * Loads and tests the towers; takes seconds, so not on the main thread.
         *
         * @throws org.leanclip.core.BundleException the bundle is missing, damaged or fails.
         */
        fun load(context: Context, accelerate: Boolean): Model {
            val bundle = Bundle.read(BundleFolder.find(context))
            val tokenizer = Tokenizer(bundle)
            val decoder = PhotoDecoder(bundle.preprocessing)
            val runtimes = Runtimes(bundle, Runtimes.threads(), accelerate)
            val check = GoldenCheck.of(bundle, tokenizer, decoder)
            val quarantine = Quarantine(File(context.filesDir, "quarantine.json"), environment())
            fun choose(tower: String) =
                TowerChoice.of(
                    bundle, bundle.candidates(tower, FORMATS), runtimes, check, quarantine)
            val image = choose(TowerFile.IMAGE)
            val text =
                try {
                    choose(TowerFile.TEXT)
                } catch (error: Exception) {
                    image.tower.close()
                    throw error
                }
            return Model(bundle, tokenizer, decoder, image, text)
        }

        /** What a delegate's verdict depends on. */
        private fun environment() =
            "${Build.FINGERPRINT} ${BuildConfig.VERSION_NAME} ${BuildConfig.ONNXRUNTIME} " +
                BuildConfig.LITERT
    }
}
