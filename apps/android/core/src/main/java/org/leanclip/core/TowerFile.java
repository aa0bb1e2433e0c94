package org.leanclip.core;

/** One tower in one format and precision, and how it is called. */
public final class TowerFile {
    public static final String IMAGE = "image";
    public static final String TEXT = "text";

    /** {@code image} or {@code text}. */
    public final String tower;
    /** {@code onnx}, {@code litert}, or one that this app has no runtime for. */
    public final String format;
    public final String precision;
    /** Path relative to the bundle. */
    public final String file;
    public final String sha256;
    public final long bytes;
    public final boolean recommended;
    /** Name of the only input; null in bundles that were written before it was recorded. */
    public final String input;
    /** Name of the only output, float32 {@code (1, dim)}; null as {@link #input}. */
    public final String output;
    /** {@code uint8}, {@code float32} or {@code int32}. */
    public final String type;
    /** {@code NCHW} or {@code NHWC}; null for token ids. */
    public final String layout;

    TowerFile(Fields fields, Preprocessing preprocessing) {
        tower = fields.word("tower", null, IMAGE, TEXT);
        format = fields.text("format");
        precision = fields.text("precision");
        file = fields.text("file");
        sha256 = fields.text("sha256");
        bytes = fields.wholeLong("bytes");
        recommended = fields.flag("recommended", false);
        boolean image = tower.equals(IMAGE);
        if (fields.has("interface")) {
            Fields call = fields.object("interface");
            input = call.text("input");
            output = call.text("output");
            type = call.text("type");
            layout = image ? call.text("layout", preprocessing.layout) : null;
        } else {
            input = null;
            output = null;
            type = image ? preprocessing.pixelType : "int32";
            layout = image ? preprocessing.layout : null;
        }
    }
}
