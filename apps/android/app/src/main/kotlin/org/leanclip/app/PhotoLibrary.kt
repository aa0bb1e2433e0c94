package org.leanclip.app

import android.Manifest.permission.READ_EXTERNAL_STORAGE
import android.Manifest.permission.READ_MEDIA_IMAGES
import android.Manifest.permission.READ_MEDIA_VISUAL_USER_SELECTED
import android.content.ContentUris
import android.content.Context
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Build
import android.provider.MediaStore.Images.Media
import java.io.IOException

/** The photos that the user lets the app see. */
object PhotoLibrary {
    /** A photo and the state it is in. */
    class Photo(val id: Long, val modified: Long, val size: Long)

    /** What to ask the user for. */
    val permissions: Array<String> =
        when {
            Build.VERSION.SDK_INT >= Build.VERSION_CODES.UPSIDE_DOWN_CAKE ->
                arrayOf(READ_MEDIA_IMAGES, READ_MEDIA_VISUAL_USER_SELECTED)
            Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU -> arrayOf(READ_MEDIA_IMAGES)
            else -> arrayOf(READ_EXTERNAL_STORAGE)
        }

    /** Whether all photos, or those that the user chose, may be read. */
    fun isAllowed(context: Context): Boolean =
        permissions.any {
            context.checkSelfPermission(it) == PackageManager.PERMISSION_GRANTED
        }

    fun uri(id: Long): Uri = ContentUris.withAppendedId(Media.EXTERNAL_CONTENT_URI, id)

    /**
     * All photos, the newest first.
     *
     * @throws IOException the system does not answer; an empty answer would drop the whole index.
     */
    fun photos(context: Context): List<Photo> {
        val columns = arrayOf(Media._ID, Media.DATE_MODIFIED, Media.SIZE)
        val order = "${Media.DATE_ADDED} DESC"
        return context.contentResolver
            .query(Media.EXTERNAL_CONTENT_URI, columns, null, null, order)
            ?.use { cursor ->
                List(cursor.count) { place ->
                    cursor.moveToPosition(place)
                    Photo(cursor.getLong(0), cursor.getLong(1), cursor.getLong(2))
                }
            } ?: throw IOException("the photo library does not answer")
    }
}
