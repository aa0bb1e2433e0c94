package org.leanclip.app

import android.content.Context
import android.content.res.AssetManager
import java.io.File
import java.io.IOException
import org.leanclip.core.Bundle
import org.leanclip.core.BundleException

/** Where the app's bundle lies: pushed by `adb`, or carried in the app's assets. */
object BundleFolder {
    private const val NAME = "bundle"

    /**
     * The folder of the bundle; one that was pushed comes first.
     *
     * @throws BundleException there is none.
     */
    fun find(context: Context): File {
        val pushed = File(context.getExternalFilesDir(null), NAME)
        if (File(pushed, Bundle.MANIFEST).isFile) return pushed
        return carried(context)
    }

    /** The bundle of the assets as files, which the runtimes need; copied once for each update. */
    private fun carried(context: Context): File {
        val installed = context.packageManager.getPackageInfo(context.packageName, 0)
        val folder = File(context.filesDir, "$NAME-${installed.lastUpdateTime}")
        if (folder.isDirectory) return folder
        if (context.assets.list(NAME).isNullOrEmpty()) {
            throw BundleException(
                "there is no bundle: put one into app/src/main/assets/bundle before building, or " +
                    "adb push it to Android/data/${context.packageName}/files/bundle")
        }
        val unfinished = File(context.filesDir, "$NAME.unfinished")
        unfinished.deleteRecursively()
        copy(context.assets, NAME, unfinished)
        context.filesDir
            .listFiles { file -> file.name.startsWith("$NAME-") }
            ?.forEach { it.deleteRecursively() }
        if (!unfinished.renameTo(folder)) throw IOException("$unfinished cannot be renamed")
        return folder
    }

    private fun copy(assets: AssetManager, name: String, target: File) {
        val inside = assets.list(name).orEmpty()
        if (inside.isEmpty()) {
            assets.open(name).use { from -> target.outputStream().use { from.copyTo(it) } }
            return
        }
        target.mkdirs()
        inside.forEach { copy(assets, "$name/$it", File(target, it)) }
    }
}
