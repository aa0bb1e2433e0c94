package org.leanclip.core;

/** How a sentence becomes token ids, as {@code bundle.json} says. */
public final class TextSpec {
    public final String vocabularyFile;
    public final String vocabularySha256;
    public final int vocabularySize;
    /** Ids that a sentence becomes, padding among them. */
    public final int contextLength;
    public final int startId;
    public final int endId;
    public final int padId;
    public final boolean lowerCase;

    /** The only kind of tokenizer that this app knows; manifests leave it out. */
    private static final String KIND = "bpe";

    TextSpec(Fields fields) {
        String kind = fields.text("kind", KIND);
        if (!kind.equals(KIND)) {
            throw new BundleException(
                    "bundle.json: sentences are cut into tokens by " + kind
                            + ", and this app knows only byte pairs (bpe): search with leanclip"
                            + " on a computer, or export a model that has CLIP's tokenizer");
        }
        vocabularyFile = fields.text("vocabulary_file", "merges.txt");
        vocabularySha256 = fields.text("vocabulary_sha256");
        vocabularySize = fields.whole("vocabulary_size");
        contextLength = fields.whole("context_length", 77);
        startId = fields.whole("start_id");
        endId = fields.whole("end_id");
        padId = fields.whole("pad_id", 0);
        lowerCase = fields.flag("lower_case", true);
        fields.word("cleaning", "clip", "clip");
        fields.word("integer_type", "int32", "int32");
        if (contextLength < 4 || contextLength > 1024) {
            throw new BundleException(
                    "bundle.json: a context length of " + contextLength + " cannot be");
        }
    }
}
