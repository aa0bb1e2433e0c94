package org.leanclip.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** What is handed to a tower file: one photo or one sentence in the form that it takes. */
public final class TowerInput {
    private TowerInput() {}

    /**
     * Pixels in the type, layout and channel order of a file.
     *
     * @param rgb {@code size * size * 3}, from {@link Preprocessor}
     */
    public static ByteBuffer ofPixels(byte[] rgb, TowerFile file, Preprocessing spec) {
        boolean floats = file.type.equals("float32");
        if (!floats && !file.type.equals("uint8")) {
            throw new BundleException(
                    file.file + " takes " + file.type + ", which this app cannot make of a photo");
        }
        ByteBuffer out = allocate(rgb.length * (floats ? 4 : 1));
        boolean planes = file.layout.equals("NCHW");
        boolean reversed = spec.channelOrder.equals("BGR");
        int pixels = rgb.length / 3;
        for (int place = 0; place < rgb.length; place++) {
            int channel = planes ? place / pixels : place % 3;
            int pixel = planes ? place % pixels : place / 3;
            byte value = rgb[pixel * 3 + (reversed ? 2 - channel : channel)];
            if (floats) {
                out.putFloat(value & 0xFF);
            } else {
                out.put(value);
            }
        }
        out.rewind();
        return out;
    }

    /** Dimensions of {@link #ofPixels}, one photo. */
    public static long[] shapeOfPixels(TowerFile file, Preprocessing spec) {
        return file.layout.equals("NCHW")
                ? new long[] {1, 3, spec.size, spec.size}
                : new long[] {1, spec.size, spec.size, 3};
    }

    /** Token ids of one sentence as int32. */
    public static ByteBuffer ofIds(int[] ids, TowerFile file) {
        if (!file.type.equals("int32")) {
            throw new BundleException(file.file + " takes " + file.type + " instead of token ids");
        }
        ByteBuffer out = allocate(ids.length * 4);
        for (int id : ids) {
            out.putInt(id);
        }
        out.rewind();
        return out;
    }

    private static ByteBuffer allocate(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }
}
