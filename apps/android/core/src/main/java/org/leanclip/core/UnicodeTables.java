package org.leanclip.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Classes of characters and lower case, as Python's tokenizer has them.
 *
 * <p>Not those of the platform: token ids must not depend on how old a phone's system is.
 */
final class UnicodeTables {
    private static final int SIGMA = 0x3A3;
    private static final int FINAL_SIGMA = 0x3C2;
    private static final int SMALL_SIGMA = 0x3C3;
    private static final int CAPITAL_I_WITH_DOT = 0x130;
    private static final String SMALL_I_WITH_DOT = "i\u0307";

    private static final Map<String, int[]> RANGES = new HashMap<>();
    private static final Map<Integer, Integer> LOWER = new HashMap<>();

    static {
        String section = "";
        Map<String, List<String>> sections = new HashMap<>();
        for (String line : Resources.lines("unicode.txt")) {
            if (line.startsWith("[")) {
                section = line.substring(1, line.length() - 1);
                sections.put(section, new ArrayList<String>());
            } else {
                sections.get(section).add(line);
            }
        }
        for (String line : sections.remove("lower")) {
            String[] words = line.split(" ");
            int last = Integer.parseInt(words[1], 16);
            int step = Integer.parseInt(words[2]);
            for (int code = Integer.parseInt(words[0], 16); code <= last; code += step) {
                LOWER.put(code, code + Integer.parseInt(words[3]));
            }
        }
        for (Map.Entry<String, List<String>> entry : sections.entrySet()) {
            RANGES.put(entry.getKey(), ranges(entry.getValue()));
        }
    }

    private static final int[] LETTERS = RANGES.get("letters");
    private static final int[] NUMBERS = RANGES.get("numbers");
    private static final int[] BETWEEN = RANGES.get("between");
    private static final int[] SPACES = RANGES.get("spaces");
    private static final int[] CASED = RANGES.get("cased");
    private static final int[] IGNORABLE = RANGES.get("ignorable");

    private UnicodeTables() {}

    static boolean isLetter(int code) {
        return holds(LETTERS, code);
    }

    static boolean isNumber(int code) {
        return holds(NUMBERS, code);
    }

    /** Whether it belongs to no word: white space, and one mark that no pattern matches. */
    static boolean isBetween(int code) {
        return holds(BETWEEN, code);
    }

    static boolean isSpace(int code) {
        return holds(SPACES, code);
    }

    /** Lower case with the final form of sigma, without regard to the language. */
    static String lower(String text) {
        int[] codes = codePoints(text);
        StringBuilder out = new StringBuilder(text.length());
        for (int place = 0; place < codes.length; place++) {
            int code = codes[place];
            if (code == SIGMA) {
                out.appendCodePoint(endsWord(codes, place) ? FINAL_SIGMA : SMALL_SIGMA);
            } else if (code == CAPITAL_I_WITH_DOT) {
                out.append(SMALL_I_WITH_DOT);
            } else {
                Integer lower = LOWER.get(code);
                out.appendCodePoint(lower == null ? code : lower);
            }
        }
        return out.toString();
    }

    static int[] codePoints(String text) {
        int[] codes = new int[text.codePointCount(0, text.length())];
        for (int place = 0, at = 0; place < codes.length; place++) {
            codes[place] = text.codePointAt(at);
            at += Character.charCount(codes[place]);
        }
        return codes;
    }

    /** Whether a cased letter stands before and none behind, marks between not counted. */
    private static boolean endsWord(int[] codes, int sigma) {
        int before = sigma - 1;
        while (before >= 0 && holds(IGNORABLE, codes[before])) {
            before--;
        }
        int after = sigma + 1;
        while (after < codes.length && holds(IGNORABLE, codes[after])) {
            after++;
        }
        return before >= 0
                && holds(CASED, codes[before])
                && (after == codes.length || !holds(CASED, codes[after]));
    }

    private static int[] ranges(List<String> lines) {
        int[] edges = new int[2 * lines.size()];
        for (int place = 0; place < lines.size(); place++) {
            String[] words = lines.get(place).split(" ");
            edges[2 * place] = Integer.parseInt(words[0], 16);
            edges[2 * place + 1] = Integer.parseInt(words[1], 16) + 1;
        }
        return edges;
    }

    /** Edges where a class begins and ends take turns, so the parity of the place tells. */
    private static boolean holds(int[] edges, int code) {
        int found = Arrays.binarySearch(edges, code);
        int begun = found >= 0 ? found + 1 : -found - 1;
        return begun % 2 == 1;
    }
}
