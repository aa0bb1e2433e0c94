package org.leanclip.app

import android.content.Context

/** What the user chose. */
class Settings(context: Context) {
    private val stored = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    /** Index by itself, and only while the phone is charging. */
    var whileCharging: Boolean
        get() = stored.getBoolean(WHILE_CHARGING, false)
        set(value) = stored.edit().putBoolean(WHILE_CHARGING, value).apply()

    /** Try delegates beyond the CPU; whichever fails its golden test is quarantined. */
    var accelerate: Boolean
        get() = stored.getBoolean(ACCELERATE, false)
        set(value) = stored.edit().putBoolean(ACCELERATE, value).apply()

    private companion object {
        const val WHILE_CHARGING = "while_charging"
        const val ACCELERATE = "accelerate"
    }
}
