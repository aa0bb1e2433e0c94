plugins {
    `java-library`
}

tasks.withType<JavaCompile>().configureEach {
    // Android 8 has Java 8's library, and this keeps the core within it.
    options.release = 8
    options.encoding = "US-ASCII"
}
