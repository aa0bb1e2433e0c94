package org.leanclip.core;

/** IEEE 754 numbers of 16 bits, rounded to the nearest and to even, as numpy rounds. */
final class Half {
    private static final int INFINITY = 0x7C00;
    private static final float[] VALUES = new float[1 << 16];

    static {
        for (int code = 0; code < VALUES.length; code++) {
            int exponent = (code >> 10) & 31;
            float fraction = code & 1023;
            float size;
            if (exponent == 31) {
                size = fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
            } else if (exponent == 0) {
                size = Math.scalb(fraction, -24);
            } else {
                size = Math.scalb(1024 + fraction, exponent - 25);
            }
            VALUES[code] = (code & 0x8000) == 0 ? size : -size;
        }
    }

    private Half() {}

    static float toFloat(short code) {
        return VALUES[code & 0xFFFF];
    }

    static short of(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = (bits >>> 16) & 0x8000;
        int size = bits & 0x7FFFFFFF;
        if (size > 0x7F800000) {
            return (short) (sign | 0x7E00);
        }
        if (size >= 0x47800000) {
            return (short) (sign | INFINITY);
        }
        if (size >= 0x38800000) {
            return (short) (sign | shifted(size - 0x38000000, 13));
        }
        int exponent = size >>> 23;
        if (exponent < 102) {
            return (short) sign;
        }
        return (short) (sign | shifted((size & 0x7FFFFF) | 0x800000, 126 - exponent));
    }

    private static int shifted(int value, int by) {
        int kept = value >>> by;
        int lost = value & ((1 << by) - 1);
        int middle = 1 << (by - 1);
        return lost > middle || (lost == middle && (kept & 1) == 1) ? kept + 1 : kept;
    }
}
