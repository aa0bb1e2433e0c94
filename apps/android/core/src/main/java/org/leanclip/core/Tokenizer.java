package org.leanclip.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * CLIP's byte-pair encoding over a bundle's vocabulary.
 *
 * <p>Every byte has a symbol, so no sentence has an unknown token. Not safe for several threads.
 */
public final class Tokenizer {
    private static final Pattern MERGE = Pattern.compile("[^ \t\r]+ [^ \t\r]+");

    private final TextSpec spec;
    private final Map<String, Integer> ranks = new HashMap<>();
    private final Map<String, Integer> ids = new HashMap<>();

    /**
     * The tokenizer of a bundle.
     *
     * @throws BundleException the vocabulary is missing, damaged, or not what the manifest says.
     */
    public Tokenizer(Bundle bundle) {
        spec = bundle.text;
        File file = bundle.checkedVocabulary();
        for (String symbol : BytePair.SYMBOLS) {
            ids.put(symbol, ids.size());
        }
        int merges = 0;
        for (String line : lines(file)) {
            if (!MERGE.matcher(line).matches()) {
                throw new BundleException(
                        file + " is not a merges file: each line must hold two symbols");
            }
            ranks.put(line, merges);
            ids.put(line.replace(" ", ""), BytePair.SYMBOLS.size() + merges);
            merges++;
        }
        int size = BytePair.SYMBOLS.size() + merges + 2;
        boolean fits =
                spec.vocabularySize == size && spec.startId == size - 2 && spec.endId == size - 1;
        if (!fits || spec.padId < 0 || spec.padId >= size) {
            throw new BundleException(
                    file + " makes " + size + " tokens, which is not what its manifest says");
        }
    }

    /** Ids of a sentence, as many as the bundle's context; too long a sentence is cut. */
    public int[] encode(String sentence) {
        int[] row = new int[spec.contextLength];
        Arrays.fill(row, spec.padId);
        row[0] = spec.startId;
        int end = 1;
        for (String word : Cleaning.words(Cleaning.clean(sentence, spec.lowerCase))) {
            if (end == row.length - 1) {
                break;
            }
            end = append(word, row, end);
        }
        row[end] = spec.endId;
        return row;
    }

    private int append(String word, int[] row, int end) {
        if (word.equals(Cleaning.START) || word.equals(Cleaning.END)) {
            row[end] = word.equals(Cleaning.START) ? spec.startId : spec.endId;
            return end + 1;
        }
        for (String piece : BytePair.split(word, ranks)) {
            if (end == row.length - 1) {
                break;
            }
            row[end++] = ids.get(piece);
        }
        return end;
    }

    private static List<String> lines(File file) {
        try {
            String text = new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
            String body = text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
            return body.isEmpty()
                    ? Collections.<String>emptyList()
                    : Arrays.asList(body.split("\n", -1));
        } catch (IOException error) {
            throw new BundleException(file + " cannot be read: " + error.getMessage(), error);
        }
    }
}
