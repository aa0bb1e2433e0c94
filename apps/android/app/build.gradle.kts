plugins {
    // Brings Kotlin with it since version 9.
    alias(libs.plugins.android.application)
}

android {
    namespace = "org.leanclip.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.leanclip.app"
        minSdk = 26
        // From 35 on, windows are drawn behind the system's bars, which these layouts do not expect.
        targetSdk = 34
        versionCode = 1
        versionName = "0.1.0"
        buildConfigField("String", "ONNXRUNTIME", "\"${libs.versions.onnxruntime.get()}\"")
        buildConfigField("String", "LITERT", "\"${libs.versions.litert.get()}\"")
    }

    buildFeatures {
        buildConfig = true
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }

    androidResources {
        // Towers do not get smaller by packing, and unpacked they are copied faster.
        noCompress += listOf("onnx", "tflite")
    }
}

dependencies {
    implementation(project(":core"))
    implementation(libs.onnxruntime.android)
    implementation(libs.litert)
}
