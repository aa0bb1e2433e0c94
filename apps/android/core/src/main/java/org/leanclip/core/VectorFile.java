package org.leanclip.core;

import java.io.Closeable;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import java.nio.channels.FileChannel;
import java.util.List;

/**
 * Rows of little-endian fp16, one after the other, only ever appended.
 *
 * <p>How many rows count, the journal knows: it is written after the rows are safe on disk.
 */
final class VectorFile implements Closeable {
    private static final int ROWS_AT_ONCE = 4096;

    private final RandomAccessFile file;
    private final int dim;

    VectorFile(File path, int dim) throws IOException {
        this.file = new RandomAccessFile(path, "rw");
        this.dim = dim;
    }

    /** Whole rows on disk. */
    int rows() throws IOException {
        return (int) (file.length() / rowBytes());
    }

    /** Cuts what lies behind some rows: the torn tail of a process that was killed. */
    void keep(int rows) throws IOException {
        file.setLength((long) rows * rowBytes());
    }

    void append(int at, List<float[]> vectors) throws IOException {
        ByteBuffer bytes =
                ByteBuffer.allocate(vectors.size() * rowBytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (float[] vector : vectors) {
            for (float value : vector) {
                bytes.putShort(Half.of(value));
            }
        }
        bytes.rewind();
        write(bytes, (long) at * rowBytes());
    }

    /** Appends a row of another file as it is. */
    void copyRow(int at, VectorFile from, int row) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(rowBytes());
        from.read(bytes, (long) row * rowBytes());
        bytes.rewind();
        write(bytes, (long) at * rowBytes());
    }

    float[] row(int row) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(rowBytes()).order(ByteOrder.LITTLE_ENDIAN);
        read(bytes, (long) row * rowBytes());
        float[] vector = new float[dim];
        for (int place = 0; place < dim; place++) {
            vector[place] = Half.toFloat(bytes.getShort(2 * place));
        }
        return vector;
    }

    /** Inner products of a query with the first rows; NaN for those of a skipped id. */
    float[] scores(float[] query, int rows, long[] ids, long skipped) throws IOException {
        float[] scores = new float[rows];
        short[] row = new short[dim];
        for (int start = 0; start < rows; start += ROWS_AT_ONCE) {
            int end = Math.min(rows, start + ROWS_AT_ONCE);
            ShortBuffer values = mapped(start, end);
            for (int at = start; at < end; at++) {
                values.get(row);
                scores[at] = ids[at] == skipped ? Float.NaN : product(query, row);
            }
        }
        return scores;
    }

    void flush() throws IOException {
        file.getChannel().force(false);
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    private ShortBuffer mapped(int start, int end) throws IOException {
        long from = (long) start * rowBytes();
        long size = (long) (end - start) * rowBytes();
        return file.getChannel()
                .map(FileChannel.MapMode.READ_ONLY, from, size)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asShortBuffer();
    }

    private static float product(float[] query, short[] row) {
        float sum = 0;
        for (int place = 0; place < row.length; place++) {
            sum += query[place] * Half.toFloat(row[place]);
        }
        return sum;
    }

    private void write(ByteBuffer bytes, long at) throws IOException {
        while (bytes.hasRemaining()) {
            at += file.getChannel().write(bytes, at);
        }
    }

    private void read(ByteBuffer bytes, long at) throws IOException {
        while (bytes.hasRemaining()) {
            int read = file.getChannel().read(bytes, at);
            if (read < 0) {
                throw new EOFException("the vectors end too early");
            }
            at += read;
        }
    }

    private int rowBytes() {
        return 2 * dim;
    }
}
