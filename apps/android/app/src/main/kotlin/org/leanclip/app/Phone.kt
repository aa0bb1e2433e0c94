package org.leanclip.app

import android.content.Context
import android.os.Build
import android.os.PowerManager
import java.io.File
import java.io.IOException
import java.time.OffsetDateTime
import java.time.temporal.ChronoUnit
import org.leanclip.core.Probe
import org.leanclip.core.TowerChoice

/** What this phone says of itself in a probe's result. */
class Phone(private val context: Context) : Probe.Phone {

    override fun device(): Map<String, Any> =
        mapOf("kind" to "android", "maker" to Build.MANUFACTURER, "model" to Build.MODEL)

    override fun system(): Map<String, Any> =
        mapOf("name" to "Android", "version" to Build.VERSION.RELEASE)

    override fun runtime(format: String): Map<String, Any> =
        when (format) {
            ONNX -> mapOf("name" to "onnxruntime", "version" to BuildConfig.ONNXRUNTIME)
            LITERT -> mapOf("name" to "litert", "version" to BuildConfig.LITERT)
            else -> mapOf("name" to format, "version" to "none")
        }

    /** LiteRT's CPU is XNNPACK, which its interpreter applies by itself. */
    override fun delegate(format: String): String =
        if (format == LITERT) Runtimes.XNNPACK else TowerChoice.CPU

    override fun thermal(): String? {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
        val status = context.getSystemService(PowerManager::class.java).currentThermalStatus
        return THERMAL.getOrNull(status)
    }

    override fun peakMemory(): Long? =
        try {
            File("/proc/self/status")
                .readLines()
                .firstOrNull { it.startsWith("VmHWM:") }
                ?.filter { it.isDigit() }
                ?.toLong()
                ?.let { 1024 * it }
        } catch (ignored: IOException) {
            null
        }

    override fun now(): String =
        OffsetDateTime.now().truncatedTo(ChronoUnit.SECONDS).toString()

    private companion object {
        val THERMAL =
            listOf("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
    }
}
