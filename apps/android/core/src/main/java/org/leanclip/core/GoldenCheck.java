package org.leanclip.core;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The golden self-test of one tower file on one delegate.
 *
 * <p>Nothing is searched or timed with a tower that failed it: GPU and NPU delegates of some
 * phones return wrong vectors without an error.
 */
public final class GoldenCheck {
    private static final double LENGTH_TOLERANCE = 1e-3;
    private static final int SHOWN = 40;

    /** Decodes a photo file with the code that also decodes the user's photos. */
    public interface Decoder {
        /** RGB {@code size * size * 3} as {@link Preprocessor} makes it. */
        byte[] decode(byte[] file) throws Exception;
    }

    /** Runs one input through a tower. */
    public interface Tower {
        float[] run(ByteBuffer input) throws Exception;
    }

    /** Smallest cosine to the expected embeddings; NaN where one cannot be compared. */
    public final double worstCosine;

    public final double leastCosine;
    /** A sentence for each input that missed its tolerance; empty is a pass. */
    public final List<String> failures;

    private GoldenCheck(double worstCosine, double leastCosine, List<String> failures) {
        this.worstCosine = worstCosine;
        this.leastCosine = leastCosine;
        this.failures = failures;
    }

    public boolean passed() {
        return failures.isEmpty() && worstCosine >= leastCosine;
    }

    /** The check of either tower, with the decoder that also reads the user's photos. */
    public static TowerChoice.Check of(Bundle bundle, Tokenizer tokenizer, Decoder decoder) {
        Golden golden = Golden.read(bundle);
        return (file, tower) ->
                file.tower.equals(TowerFile.IMAGE)
                        ? ofPhotos(golden, bundle, file, decoder, tower)
                        : ofSentences(golden, file, tokenizer, tower);
    }

    /** Checks an image tower: photos by their pixels and embeddings, the pattern by the latter. */
    public static GoldenCheck ofPhotos(
            Golden golden, Bundle bundle, TowerFile file, Decoder decoder, Tower tower)
            throws Exception {
        Collector collector = new Collector(golden.limit(file.precision));
        for (Golden.Photo photo : golden.photos) {
            byte[] rgb = decoder.decode(photo.jpeg);
            double difference = largestDifference(photo, rgb, bundle.preprocessing.size);
            // Not "greater than", so that NaN fails.
            if (!(difference <= golden.gridTolerance)) {
                collector.failures.add(
                        String.format(
                                Locale.ROOT,
                                "photo %s: pixels differ by %.1f of 255, at most %s allowed",
                                photo.name, difference, golden.gridTolerance));
            }
            float[] found = tower.run(TowerInput.ofPixels(rgb, file, bundle.preprocessing));
            collector.compare("photo " + photo.name, found, photo.embedding);
        }
        byte[] pattern = Golden.pattern(bundle.preprocessing.size);
        float[] found = tower.run(TowerInput.ofPixels(pattern, file, bundle.preprocessing));
        collector.compare("the pattern", found, golden.patternEmbedding);
        return collector.check();
    }

    /** Checks a text tower: sentences by their token ids and embeddings. */
    public static GoldenCheck ofSentences(
            Golden golden, TowerFile file, Tokenizer tokenizer, Tower tower) throws Exception {
        Collector collector = new Collector(golden.limit(file.precision));
        for (Golden.Sentence sentence : golden.sentences) {
            String text = sentence.text;
            String name = "sentence '" + text.substring(0, Math.min(SHOWN, text.length())) + "'";
            int[] ids = tokenizer.encode(text);
            if (!Arrays.equals(ids, sentence.ids)) {
                collector.failures.add(name + ": other token ids");
            }
            float[] found = tower.run(TowerInput.ofIds(ids, file));
            collector.compare(name, found, sentence.embedding);
        }
        return collector.check();
    }

    /** The object that a probe's result holds. */
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("worst_cosine", Double.isNaN(worstCosine) ? null : worstCosine);
        json.put("least_cosine", leastCosine);
        json.put("passed", passed());
        json.put("failures", failures);
        return json;
    }

    /** Largest difference of a field's mean colour from what is expected, of 255. */
    private static double largestDifference(Golden.Photo photo, byte[] rgb, int size) {
        double largest = 0;
        for (int place = 0; place < photo.fields.size(); place++) {
            int top = place / photo.grid * size / photo.grid;
            int bottom = (place / photo.grid + 1) * size / photo.grid;
            int left = place % photo.grid * size / photo.grid;
            int right = (place % photo.grid + 1) * size / photo.grid;
            for (int channel = 0; channel < 3; channel++) {
                long sum = 0;
                for (int row = top; row < bottom; row++) {
                    for (int column = left; column < right; column++) {
                        sum += rgb[(row * size + column) * 3 + channel] & 0xFF;
                    }
                }
                double mean = (double) sum / ((bottom - top) * (right - left));
                largest = Math.max(largest, Math.abs(mean - photo.fields.get(place)[channel]));
            }
        }
        return largest;
    }

    private static final class Collector {
        private final double limit;
        private final List<String> failures = new ArrayList<>();
        private double worst = Double.POSITIVE_INFINITY;

        Collector(double limit) {
            this.limit = limit;
        }

        void compare(String name, float[] found, double[] expected) {
            double cosine = cosine(found, expected);
            worst = Math.min(worst, cosine);
            if (!(cosine >= limit)) {
                failures.add(
                        String.format(
                                Locale.ROOT,
                                "%s: cosine %.5f, at least %s expected", name, cosine, limit));
            }
        }

        GoldenCheck check() {
            return new GoldenCheck(worst, limit, failures);
        }

        /** NaN for an embedding of another size, or whose length is not one. */
        private static double cosine(float[] found, double[] expected) {
            if (found.length != expected.length) {
                return Double.NaN;
            }
            double product = 0;
            double length = 0;
            double expectedLength = 0;
            for (int place = 0; place < found.length; place++) {
                product += found[place] * expected[place];
                length += (double) found[place] * found[place];
                expectedLength += expected[place] * expected[place];
            }
            boolean unit = Math.abs(Math.sqrt(length) - 1) <= LENGTH_TOLERANCE;
            return unit ? product / Math.sqrt(expectedLength) : Double.NaN;
        }
    }
}
