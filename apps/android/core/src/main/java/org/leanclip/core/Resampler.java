package org.leanclip.core;

import java.util.Arrays;

/**
 * Resizing whose filter widens with the scale (antialias), in the fixed-point arithmetic of
 * Pillow, so that an image tower sees on a phone what it saw in training.
 *
 * <p>Android's own scaling has no antialias, which costs recall.
 */
public final class Resampler {
    private static final int BITS = 22;
    private static final int HALF = 1 << (BITS - 1);
    private static final int CHANNELS = 3;

    private Resampler() {}

    /** Shapes of the filter; the support is in pixels of the smaller picture. */
    public enum Filter {
        BILINEAR(1) {
            @Override
            double at(double x) {
                return Math.max(0, 1 - Math.abs(x));
            }
        },
        BICUBIC(2) {
            @Override
            double at(double x) {
                double distance = Math.abs(x);
                if (distance < 1) {
                    return ((A + 2) * distance - (A + 3)) * distance * distance + 1;
                }
                if (distance < 2) {
                    return (((distance - 5) * distance + 8) * distance - 4) * A;
                }
                return 0;
            }
        },
        LANCZOS(3) {
            @Override
            double at(double x) {
                return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
            }
        };

        private static final double A = -0.5;

        final double support;

        Filter(double support) {
            this.support = support;
        }

        abstract double at(double x);

        private static double sinc(double x) {
            return x == 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
        }
    }

    /** Which pixels of one side a pixel of the result is made of, and their weights. */
    private static final class Weights {
        final int[] first;
        final int[][] weights;

        Weights(int size, float from, float to, int target, Filter filter) {
            first = new int[target];
            weights = new int[target][];
            double scale = (double) (to - from) / target;
            double widened = Math.max(scale, 1);
            double support = filter.support * widened;
            for (int place = 0; place < target; place++) {
                double centre = from + (place + 0.5) * scale;
                first[place] = Math.max(0, (int) (centre - support + 0.5));
                int end = Math.min(size, (int) (centre + support + 0.5));
                weights[place] = fixed(filter, first[place], end, centre, widened);
            }
        }

        private static int[] fixed(Filter filter, int first, int end, double centre, double by) {
            double[] exact = new double[end - first];
            double sum = 0;
            for (int place = 0; place < exact.length; place++) {
                exact[place] = filter.at((place + first - centre + 0.5) * (1 / by));
                sum += exact[place];
            }
            int[] fixed = new int[exact.length];
            for (int place = 0; place < exact.length; place++) {
                double weight = (sum == 0 ? exact[place] : exact[place] / sum) * (1 << BITS);
                fixed[place] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
            }
            return fixed;
        }

        int end(int place) {
            return first[place] + weights[place].length;
        }
    }

    /**
     * Resizes a part of a photo: across, then down, each rounded to whole levels.
     *
     * @param photo its transparent pixels are laid over {@code fill}
     * @param box left, top, right and bottom of the part, in pixels; not rounded
     * @param width of the result
     * @param height of the result
     * @param fill red, green, blue
     * @return RGB, {@code height * width * 3}, row by row
     */
    public static byte[] resize(
            PixelRows photo, float[] box, int width, int height, Filter filter, int[] fill) {
        Weights across = new Weights(photo.width(), box[0], box[2], width, filter);
        Weights down = new Weights(photo.height(), box[1], box[3], height, filter);
        Source source = new Source(photo, fill);
        int top = down.first[0];
        int bottom = down.end(height - 1);
        byte[][] narrow = new byte[bottom - top][];
        for (int row = top; row < bottom; row++) {
            narrow[row - top] = shrinkRow(source.row(row), across);
        }
        byte[] out = new byte[height * width * CHANNELS];
        for (int row = 0; row < height; row++) {
            byte[] shrunk = sumRows(narrow, down.first[row] - top, down.weights[row]);
            System.arraycopy(shrunk, 0, out, row * shrunk.length, shrunk.length);
        }
        return out;
    }

    /**
     * The same, but down, then across: for photos that lie on their side, whose rows are the
     * columns of the upright photo.
     */
    public static byte[] resizeDownFirst(
            PixelRows photo, float[] box, int width, int height, Filter filter, int[] fill) {
        Weights across = new Weights(photo.width(), box[0], box[2], width, filter);
        Weights down = new Weights(photo.height(), box[1], box[3], height, filter);
        Source source = new Source(photo, fill);
        byte[][] rows = new byte[photo.height()][];
        byte[] out = new byte[height * width * CHANNELS];
        for (int row = 0; row < height; row++) {
            // Only the rows under the filter are held, however large the photo.
            for (int at = row == 0 ? 0 : down.first[row - 1]; at < down.first[row]; at++) {
                rows[at] = null;
            }
            for (int at = down.first[row]; at < down.end(row); at++) {
                rows[at] = rows[at] == null ? source.row(at) : rows[at];
            }
            byte[] shrunk = shrinkRow(sumRows(rows, down.first[row], down.weights[row]), across);
            System.arraycopy(shrunk, 0, out, row * shrunk.length, shrunk.length);
        }
        return out;
    }

    /** Rows of a photo as RGB without transparency. */
    private static final class Source {
        private final PixelRows photo;
        private final int[] fill;
        private final int[] argb;

        Source(PixelRows photo, int[] fill) {
            this.photo = photo;
            this.fill = fill;
            argb = new int[photo.width()];
        }

        byte[] row(int row) {
            photo.read(row, argb);
            byte[] rgb = new byte[argb.length * CHANNELS];
            for (int column = 0; column < argb.length; column++) {
                int pixel = argb[column];
                int alpha = pixel >>> 24;
                for (int channel = 0; channel < CHANNELS; channel++) {
                    int value = (pixel >> (16 - 8 * channel)) & 0xFF;
                    int seen = alpha == 255 ? value : blend(fill[channel], value, alpha);
                    rgb[column * CHANNELS + channel] = (byte) seen;
                }
            }
            return rgb;
        }
    }

    /** Division by 255 with rounding, without dividing. */
    private static int blend(int below, int above, int alpha) {
        int sum = below * (255 - alpha) + above * alpha + 128;
        return ((sum >> 8) + sum) >> 8;
    }

    private static byte[] shrinkRow(byte[] rgb, Weights across) {
        byte[] out = new byte[across.first.length * CHANNELS];
        int at = 0;
        for (int column = 0; column < across.first.length; column++) {
            int red = HALF;
            int green = HALF;
            int blue = HALF;
            int from = across.first[column] * CHANNELS;
            for (int weight : across.weights[column]) {
                red += (rgb[from] & 0xFF) * weight;
                green += (rgb[from + 1] & 0xFF) * weight;
                blue += (rgb[from + 2] & 0xFF) * weight;
                from += CHANNELS;
            }
            out[at++] = clipped(red);
            out[at++] = clipped(green);
            out[at++] = clipped(blue);
        }
        return out;
    }

    private static byte[] sumRows(byte[][] rows, int first, int[] weights) {
        int[] sums = new int[rows[first].length];
        Arrays.fill(sums, HALF);
        for (int row = 0; row < weights.length; row++) {
            byte[] values = rows[first + row];
            int weight = weights[row];
            for (int place = 0; place < sums.length; place++) {
                sums[place] += (values[place] & 0xFF) * weight;
            }
        }
        byte[] out = new byte[sums.length];
        for (int place = 0; place < out.length; place++) {
            out[place] = clipped(sums[place]);
        }
        return out;
    }

    private static byte clipped(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> BITS));
    }
}
