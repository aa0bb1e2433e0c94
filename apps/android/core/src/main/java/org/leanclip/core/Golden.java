package org.leanclip.core;

import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** {@code golden.json}: inputs with the embeddings that PyTorch makes of them. */
public final class Golden {
    public static final String FILE = "golden.json";

    /** A sentence, its token ids and its embedding. */
    public static final class Sentence {
        public final String text;
        final int[] ids;
        final double[] embedding;

        Sentence(Fields fields) {
            text = fields.text("text");
            embedding = fields.numbers("embedding", -1);
            double[] numbers = fields.numbers("ids", -1);
            ids = new int[numbers.length];
            for (int place = 0; place < ids.length; place++) {
                ids[place] = (int) numbers[place];
            }
        }
    }

    /** A photo file, the mean colours of its fields and its embedding. */
    public static final class Photo {
        public final String name;
        /** The file; some carry an EXIF orientation. */
        public final byte[] jpeg;
        final List<double[]> fields = new ArrayList<>();
        final int grid;
        final double[] embedding;

        Photo(Fields photo) {
            name = photo.text("name");
            embedding = photo.numbers("embedding", -1);
            try {
                jpeg = Base64.getDecoder().decode(photo.text("jpeg"));
            } catch (IllegalArgumentException error) {
                throw new BundleException(FILE + ": photo " + name + " is malformed", error);
            }
            List<?> rows = photo.list("grid");
            grid = rows.size();
            for (Object row : rows) {
                Map<String, Object> held = new HashMap<>();
                for (Object field : (List<?>) row) {
                    held.put("colour", field);
                    fields.add(new Fields(held, FILE).numbers("colour", 3));
                }
            }
        }
    }

    public final List<Sentence> sentences = new ArrayList<>();
    public final List<Photo> photos = new ArrayList<>();
    /** Largest difference of a field's mean colour, of 255. */
    final double gridTolerance;
    /** Embedding of {@link #pattern}. */
    final double[] patternEmbedding;

    private final Map<?, ?> minCosine;

    private Golden(Fields fields) {
        for (Fields sentence : fields.objects("sentences")) {
            sentences.add(new Sentence(sentence));
        }
        for (Fields photo : fields.objects("photos")) {
            photos.add(new Photo(photo));
        }
        gridTolerance = fields.number("grid_tolerance");
        patternEmbedding = fields.object("pattern").numbers("embedding", -1);
        minCosine = fields.map("min_cosine");
        if (sentences.isEmpty() || photos.isEmpty()) {
            throw new BundleException(FILE + " has no sentence or no photo; export it again");
        }
    }

    /**
     * Reads a bundle's golden file.
     *
     * @throws BundleException it is missing, damaged or malformed.
     */
    public static Golden read(Bundle bundle) {
        return new Golden(new Fields(Bundle.parsed(bundle.checkedGolden()), FILE));
    }

    /** Smallest cosine that a file of a precision may have. */
    public double limit(String precision) {
        Object found = minCosine.get(precision);
        if (!(found instanceof Number)) {
            throw new BundleException(FILE + " has no cosine for " + precision + "; export again");
        }
        return ((Number) found).doubleValue();
    }

    /** Computed pixels, which test a tower without a decoder; RGB {@code size * size * 3}. */
    public static byte[] pattern(int size) {
        byte[] rgb = new byte[size * size * 3];
        for (int place = 0; place < rgb.length; place++) {
            int channel = place % 3;
            int column = place / 3 % size;
            int row = place / 3 / size;
            rgb[place] = (byte) (7 * row + 13 * column + 83 * channel + row * column / 8);
        }
        return rgb;
    }
}
