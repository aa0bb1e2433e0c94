package org.leanclip.core;

/** From a decoded photo to the square of pixels that an image tower takes. */
public final class Preprocessor {
    /**
     * Of a photo more elongated than this, only the middle is resized: a strip of 4,000 x 10
     * would otherwise grow to 89,600 x 224 before all but its centre is cut away.
     */
    private static final double LONGEST_ASPECT = 8;

    private final Preprocessing spec;

    public Preprocessor(Preprocessing spec) {
        this.spec = spec;
    }

    /** The same for a photo that fills all of its decoded pixels. */
    public byte[] pixels(PixelRows photo, int orientation) {
        return pixels(photo, photo.width(), photo.height(), orientation);
    }

    /**
     * Resizes, turns upright, then crops or pads.
     *
     * @param photo as it is stored
     * @param width columns that the photo fills; a photo of 1003 columns that was decoded at a
     *     quarter fills 250.75 of 251
     * @param height rows that the photo fills
     * @param orientation EXIF orientation, 1 to 8; others count as 1
     * @return RGB, {@code size * size * 3}, row by row
     */
    public byte[] pixels(PixelRows photo, double width, double height, int orientation) {
        boolean known = orientation >= 1 && orientation <= 8;
        int turn = spec.appliesOrientation && known ? orientation : 1;
        double left = 0;
        double top = 0;
        if (spec.resizeMode.equals("shortest")) {
            double longest = LONGEST_ASPECT * Math.min(width, height);
            left = Math.floor(Math.max(0, width - longest) / 2);
            top = Math.floor(Math.max(0, height - longest) / 2);
        }
        float[] box = {(float) left, (float) top, (float) (width - left), (float) (height - top)};
        boolean sideways = turn >= 5;
        int[] upright = sideways
                ? resized(height - 2 * top, width - 2 * left)
                : resized(width - 2 * left, height - 2 * top);
        int storedWidth = upright[sideways ? 1 : 0];
        int storedHeight = upright[sideways ? 0 : 1];
        // In the order of the upright photo's sides, since each pass rounds and clips.
        byte[] rgb = sideways
                ? Resampler.resizeDownFirst(
                        photo, box, storedWidth, storedHeight, spec.filter, spec.fill)
                : Resampler.resize(
                        photo, box, storedWidth, storedHeight, spec.filter, spec.fill);
        return square(turned(rgb, storedWidth, storedHeight, turn), upright[0], upright[1]);
    }

    private int[] resized(double width, double height) {
        switch (spec.resizeMode) {
            case "squash":
                return new int[] {spec.size, spec.size};
            case "longest":
                double ratio = Math.max(width, height) / spec.size;
                return new int[] {
                    (int) Math.max(1, Math.rint(width / ratio)),
                    (int) Math.max(1, Math.rint(height / ratio))
                };
            default:
                return width <= height
                        ? new int[] {spec.size, (int) (spec.size * height / width)}
                        : new int[] {(int) (spec.size * width / height), spec.size};
        }
    }

    /** Turned after resizing, where there are few pixels left to move. */
    private static byte[] turned(byte[] rgb, int width, int height, int turn) {
        if (turn == 1) {
            return rgb;
        }
        boolean sideways = turn >= 5;
        int columns = sideways ? height : width;
        int rows = sideways ? width : height;
        boolean mirroredX = turn == 2 || turn == 3 || turn == 7 || turn == 8;
        boolean mirroredY = turn == 3 || turn == 4 || turn == 6 || turn == 7;
        byte[] out = new byte[rgb.length];
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                int x = sideways ? row : column;
                int y = sideways ? column : row;
                x = mirroredX ? width - 1 - x : x;
                y = mirroredY ? height - 1 - y : y;
                System.arraycopy(rgb, (y * width + x) * 3, out, (row * columns + column) * 3, 3);
            }
        }
        return out;
    }

    private byte[] square(byte[] rgb, int width, int height) {
        if (width == spec.size && height == spec.size) {
            return rgb;
        }
        byte[] out = new byte[spec.size * spec.size * 3];
        for (int place = 0; place < out.length; place++) {
            out[place] = (byte) spec.fill[place % 3];
        }
        int left = offset(width);
        int top = offset(height);
        int from = Math.max(0, left);
        int count = Math.min(spec.size, left + width) - from;
        for (int row = Math.max(0, top); row < Math.min(spec.size, top + height); row++) {
            int source = ((row - top) * width + from - left) * 3;
            System.arraycopy(rgb, source, out, (row * spec.size + from) * 3, count * 3);
        }
        return out;
    }

    /** Rounds to the even neighbour at a half, and pads the odd pixel right and below. */
    private int offset(int side) {
        return side > spec.size
                ? -(int) Math.rint((side - spec.size) / 2.0)
                : (spec.size - side) / 2;
    }
}
