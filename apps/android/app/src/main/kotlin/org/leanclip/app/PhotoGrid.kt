package org.leanclip.app

import android.content.Context
import android.graphics.Bitmap
import android.os.Build
import android.os.Handler
import android.os.Looper
import android.provider.MediaStore
import android.util.LruCache
import android.util.Size
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.ImageView
import java.util.concurrent.Executors

/** Thumbnails of found photos, best first, loaded as they come into sight. */
class PhotoGrid(private val context: Context) : BaseAdapter() {
    private val main = Handler(Looper.getMainLooper())
    private val loader = Executors.newFixedThreadPool(2)
    private val thumbnails =
        object : LruCache<Long, Bitmap>(CACHE_BYTES) {
            override fun sizeOf(key: Long, value: Bitmap) = value.byteCount
        }
    private var ids: List<Long> = emptyList()

    fun show(ids: List<Long>) {
        this.ids = ids
        notifyDataSetChanged()
    }

    fun close() {
        loader.shutdownNow()
    }

    override fun getCount() = ids.size

    override fun getItem(position: Int): Long = ids[position]

    override fun getItemId(position: Int): Long = ids[position]

    override fun getView(position: Int, recycled: View?, parent: ViewGroup): View {
        val view = recycled as? Square ?: Square(context)
        val id = ids[position]
        view.contentDescription = context.getString(R.string.photo, position + 1, ids.size)
        view.tag = id
        val ready = thumbnails.get(id)
        view.setImageBitmap(ready)
        if (ready == null) loader.execute { load(id, view) }
        return view
    }

    private fun load(id: Long, view: Square) {
        if (view.tag != id) return
        val bitmap =
            try {
                thumbnail(id)
            } catch (ignored: Exception) {
                // Deleted, damaged or no longer shared: the place stays empty.
                null
            } ?: return
        thumbnails.put(id, bitmap)
        // The view may show another photo by now.
        main.post { if (view.tag == id) view.setImageBitmap(bitmap) }
    }

    @Suppress("DEPRECATION")
    private fun thumbnail(id: Long): Bitmap? =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            val size = Size(THUMBNAIL, THUMBNAIL)
            context.contentResolver.loadThumbnail(PhotoLibrary.uri(id), size, null)
        } else {
            val kind = MediaStore.Images.Thumbnails.MINI_KIND
            MediaStore.Images.Thumbnails.getThumbnail(context.contentResolver, id, kind, null)
        }

    /** As high as the grid's columns are wide. */
    private class Square(context: Context) : ImageView(context) {
        init {
            scaleType = ScaleType.CENTER_CROP
        }

        override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) =
            super.onMeasure(widthMeasureSpec, widthMeasureSpec)
    }

    private companion object {
        const val THUMBNAIL = 320
        const val CACHE_BYTES = 32 * 1024 * 1024
    }
}
