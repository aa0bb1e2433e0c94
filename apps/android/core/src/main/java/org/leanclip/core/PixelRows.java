package org.leanclip.core;

/** A decoded photo, read row by row so that a large one need not be copied whole. */
public interface PixelRows {
    int width();

    int height();

    /**
     * Reads one row.
     *
     * @param row counted from the top
     * @param argb takes {@link #width} pixels, 8 bits a channel, alpha not multiplied in
     */
    void read(int row, int[] argb);
}
