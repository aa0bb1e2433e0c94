package org.leanclip.app

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.leanclip.core.Bundle
import org.leanclip.core.BundleException
import org.leanclip.core.TowerChoice
import org.leanclip.core.TowerFile
import org.leanclip.core.TowerInput
import org.tensorflow.lite.Interpreter

const val ONNX = "onnx"
const val LITERT = "litert"

/** Formats that this app has a runtime for. */
val FORMATS = listOf(ONNX, LITERT)

/**
 * ONNX Runtime and LiteRT.
 *
 * LiteRT runs by its Interpreter, on the CPU with XNNPACK: our image towers take uint8 pixels, for
 * which the tensor buffers of its CompiledModel have no type.
 */
class Runtimes(
    private val bundle: Bundle,
    private val threads: Int,
    private val accelerate: Boolean,
) : TowerChoice.Runtimes {

    override fun delegates(format: String): List<String> =
        if (format == ONNX && accelerate) listOf(NNAPI, XNNPACK, TowerChoice.CPU)
        else listOf(TowerChoice.CPU)

    override fun load(file: TowerFile, path: File, delegate: String): TowerChoice.Loaded =
        when (file.format) {
            ONNX -> OnnxTower(file, path, delegate, shapeOf(file), threads)
            LITERT -> LiteRtTower(path, bundle.embeddingDim, threads)
            else -> throw BundleException("this app has no runtime for ${file.format} files")
        }

    private fun shapeOf(file: TowerFile): LongArray =
        if (file.tower == TowerFile.IMAGE) TowerInput.shapeOfPixels(file, bundle.preprocessing)
        else longArrayOf(1, bundle.text.contextLength.toLong())

    companion object {
        const val XNNPACK = "XNNPACK"
        private const val NNAPI = "NNAPI"

        /** As many as there are likely to be fast cores. */
        fun threads(): Int = (Runtime.getRuntime().availableProcessors() / 2).coerceIn(1, 4)
    }
}

private class OnnxTower(
    file: TowerFile,
    path: File,
    delegate: String,
    private val shape: LongArray,
    threads: Int,
) : TowerChoice.Loaded {

    private val environment = OrtEnvironment.getEnvironment()
    private val options = OrtSession.SessionOptions()
    private val session: OrtSession
    private val input: String
    private val type =
        when (file.type) {
            "uint8" -> OnnxJavaType.UINT8
            "float32" -> OnnxJavaType.FLOAT
            else -> OnnxJavaType.INT32
        }

    init {
        options.setIntraOpNumThreads(threads)
        // Photos are decoded beside the tower: waiting threads must not burn their processor.
        options.addConfigEntry("session.intra_op.allow_spinning", "0")
        when (delegate) {
            Runtimes.XNNPACK -> options.addXnnpack(mapOf("intra_op_num_threads" to "$threads"))
            TowerChoice.CPU -> Unit
            else -> options.addNnapi()
        }
        session = environment.createSession(path.path, options)
        input = file.input ?: session.inputNames.first()
    }

    override fun run(input: ByteBuffer): FloatArray =
        OnnxTensor.createTensor(environment, input, shape, type).use { tensor ->
            session.run(mapOf(this.input to tensor)).use { result ->
                val values = (result[0] as OnnxTensor).floatBuffer
                FloatArray(values.remaining()).also { values.get(it) }
            }
        }

    override fun close() {
        session.close()
        options.close()
    }
}

private class LiteRtTower(path: File, dim: Int, threads: Int) : TowerChoice.Loaded {

    private val interpreter = Interpreter(path, Interpreter.Options().setNumThreads(threads))
    private val output = ByteBuffer.allocateDirect(4 * dim).order(ByteOrder.nativeOrder())

    override fun run(input: ByteBuffer): FloatArray {
        output.rewind()
        interpreter.run(input, output)
        output.rewind()
        return FloatArray(output.remaining() / 4).also { output.asFloatBuffer().get(it) }
    }

    override fun close() = interpreter.close()
}
