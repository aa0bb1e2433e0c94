package org.leanclip.app

import android.annotation.SuppressLint
import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import android.media.ExifInterface
import android.net.Uri
import android.os.Build
import java.io.ByteArrayInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import org.leanclip.core.GoldenCheck
import org.leanclip.core.PixelRows
import org.leanclip.core.Preprocessing
import org.leanclip.core.Preprocessor

/** From a photo file to the pixels that an image tower takes: golden photos and the user's. */
@SuppressLint("NewApi") // ImageDecoder is touched only where usesImageDecoder says so.
class PhotoDecoder(private val spec: Preprocessing) : GoldenCheck.Decoder {

    private val preprocessor = Preprocessor(spec)

    override fun decode(file: ByteArray): ByteArray =
        if (usesImageDecoder()) upright(ImageDecoder.createSource(ByteBuffer.wrap(file)))
        else stored { ByteArrayInputStream(file) }

    /**
     * Decodes a photo of the library.
     *
     * @throws IOException it is damaged, too large or no photo.
     */
    fun decode(resolver: ContentResolver, photo: Uri): ByteArray =
        if (usesImageDecoder()) upright(ImageDecoder.createSource(resolver, photo))
        else stored { resolver.openInputStream(photo) ?: throw FileNotFoundException("$photo") }

    /** It always turns photos upright, and refuses truncated ones; Android 8 lacks it. */
    private fun usesImageDecoder() =
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.P && spec.appliesOrientation

    private fun upright(source: ImageDecoder.Source): ByteArray {
        val bitmap = ImageDecoder.decodeBitmap(source) { decoder, info, _ ->
            val fraction = fraction(info.mimeType, info.size.width, info.size.height)
            decoder.setTargetSampleSize(fraction)
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }
        return pixels(bitmap, ExifInterface.ORIENTATION_NORMAL)
    }

    private fun stored(open: () -> InputStream): ByteArray {
        val options = BitmapFactory.Options()
        options.inJustDecodeBounds = true
        open().use { BitmapFactory.decodeStream(it, null, options) }
        if (options.outWidth <= 0) throw IOException("not a photo that can be read")
        options.inSampleSize = fraction(options.outMimeType, options.outWidth, options.outHeight)
        options.inJustDecodeBounds = false
        val bitmap = open().use { BitmapFactory.decodeStream(it, null, options) }
        return pixels(bitmap ?: throw IOException("damaged"), orientation(open))
    }

    /** 1 where there is no metadata, or broken one. */
    private fun orientation(open: () -> InputStream): Int =
        try {
            open().use {
                ExifInterface(it)
                    .getAttributeInt(
                        ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
            }
        } catch (ignored: IOException) {
            ExifInterface.ORIENTATION_NORMAL
        }

    private fun pixels(bitmap: Bitmap, orientation: Int): ByteArray {
        // The model was trained on values as they are stored, without regard to colour profiles.
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q &&
            bitmap.config == Bitmap.Config.ARGB_8888
        ) {
            bitmap.setColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
        }
        try {
            return preprocessor.pixels(BitmapRows(bitmap), orientation)
        } finally {
            bitmap.recycle()
        }
    }

    /**
     * What part of a photo's sides to decode. Only JPEG's decoder averages pixels as it shrinks;
     * the others would drop them, which costs recall, so their photos are decoded whole.
     */
    private fun fraction(type: String?, width: Int, height: Int): Int {
        var fraction = 1
        val shortest = minOf(width, height)
        while (type == "image/jpeg" &&
            fraction < 8 &&
            shortest / (2 * fraction) >= MARGIN * spec.size
        ) {
            fraction *= 2
        }
        val decoded = width.toLong() * height / fraction / fraction
        if (decoded > MAX_PIXELS) throw IOException("too large: $width x $height pixels")
        return fraction
    }

    private class BitmapRows(private val bitmap: Bitmap) : PixelRows {
        override fun width() = bitmap.width

        override fun height() = bitmap.height

        override fun read(row: Int, argb: IntArray) =
            bitmap.getPixels(argb, 0, bitmap.width, 0, row, bitmap.width, 1)
    }

    private companion object {
        /** The short side keeps this many times the pixels that the model takes. */
        const val MARGIN = 2
        const val MAX_PIXELS = 64_000_000L
    }
}
