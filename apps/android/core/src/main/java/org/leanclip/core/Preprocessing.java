package org.leanclip.core;

import java.util.Locale;

/** What becomes of a photo before an image tower sees it, as {@code bundle.json} says. */
public final class Preprocessing {
    /** Height and width of the tower's input, in pixels. */
    public final int size;
    /** {@code shortest}, {@code squash} or {@code longest}. */
    public final String resizeMode;
    public final Resampler.Filter filter;
    /** Red, green and blue of padding and of what lies behind transparent pixels. */
    public final int[] fill;
    /** {@code RGB} or {@code BGR}. */
    public final String channelOrder;
    /** {@code NCHW} or {@code NHWC}. */
    public final String layout;
    /** {@code uint8} or {@code float32}; both hold 0 to 255, scaling belongs to the graph. */
    public final String pixelType;
    public final boolean appliesOrientation;

    Preprocessing(Fields fields) {
        size = fields.whole("size");
        if (size < 8 || size > 4096) {
            throw new BundleException("bundle.json: an image size of " + size + " cannot be");
        }
        resizeMode = fields.word("resize_mode", "shortest", "shortest", "squash", "longest");
        filter = Resampler.Filter.valueOf(
                fields.word("interpolation", "bicubic", "bilinear", "bicubic", "lanczos")
                        .toUpperCase(Locale.ROOT));
        if (!fields.flag("antialias", true)) {
            throw new BundleException("bundle.json: photos are always resized with antialias");
        }
        fill = new int[3];
        if (fields.has("fill")) {
            double[] given = fields.numbers("fill", 3);
            for (int channel = 0; channel < 3; channel++) {
                fill[channel] = (int) given[channel];
            }
        }
        channelOrder = fields.word("channel_order", "RGB", "RGB", "BGR");
        layout = fields.word("layout", "NCHW", "NCHW", "NHWC");
        pixelType = fields.word("pixel_type", "uint8", "uint8", "float32");
        appliesOrientation =
                fields.word("exif_orientation", "apply", "apply", "ignore").equals("apply");
    }
}
