package org.leanclip.core;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;

/** Byte-pair encoding of one word (Sennrich et al. 2016, byte-level as in GPT-2). */
final class BytePair {
    static final String WORD_END = "</w>";

    /** One visible character for each byte: itself where printable, else from U+0100 on. */
    private static final char[] NAMES = new char[256];

    /** Symbols that every vocabulary begins with: bytes inside a word, bytes that end one. */
    static final List<String> SYMBOLS = new ArrayList<>();

    static {
        List<Integer> order = new ArrayList<>();
        for (int code = 0; code < 256; code++) {
            if (isPrintable(code)) {
                NAMES[code] = (char) code;
                order.add(code);
            }
        }
        for (int code = 0; code < 256; code++) {
            if (!isPrintable(code)) {
                NAMES[code] = (char) (256 + order.size() - 188);
                order.add(code);
            }
        }
        for (int code : order) {
            SYMBOLS.add(String.valueOf(NAMES[code]));
        }
        for (int code : order) {
            SYMBOLS.add(NAMES[code] + WORD_END);
        }
    }

    private BytePair() {}

    private static boolean isPrintable(int code) {
        return (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code != 0xAD);
    }

    /** Pieces of a word that is not empty; the pair of lowest rank is joined first. */
    static List<String> split(String word, Map<String, Integer> ranks) {
        byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
        String[] pieces = new String[bytes.length];
        for (int place = 0; place < bytes.length; place++) {
            pieces[place] = String.valueOf(NAMES[bytes[place] & 0xFF]);
        }
        pieces[bytes.length - 1] += WORD_END;
        new Merge(pieces, ranks).run();
        List<String> left = new ArrayList<>();
        for (String piece : pieces) {
            if (piece != null) {
                left.add(piece);
            }
        }
        return left;
    }

    /** A heap of places and a linked list, so that a word of a million letters ends too. */
    private static final class Merge {
        private final String[] pieces;
        private final Map<String, Integer> ranks;
        private final int[] before;
        private final int[] after;
        private final PriorityQueue<Long> heap = new PriorityQueue<>();

        Merge(String[] pieces, Map<String, Integer> ranks) {
            this.pieces = pieces;
            this.ranks = ranks;
            before = new int[pieces.length];
            after = new int[pieces.length];
            for (int place = 0; place < pieces.length; place++) {
                before[place] = place - 1;
                after[place] = place + 1;
            }
        }

        void run() {
            for (int place = 0; place < pieces.length; place++) {
                push(place);
            }
            List<Integer> places = new ArrayList<>();
            while (!heap.isEmpty()) {
                int lowest = (int) (heap.peek() >> 32);
                places.clear();
                // All places of one pair are joined before the next pair is looked for.
                while (!heap.isEmpty() && (int) (heap.peek() >> 32) == lowest) {
                    places.add((int) (long) heap.poll());
                }
                for (int place : places) {
                    if (rankAt(place) == lowest) {
                        join(place);
                    }
                }
            }
        }

        private void join(int left) {
            int right = after[left];
            pieces[left] += pieces[right];
            pieces[right] = null;
            after[left] = after[right];
            if (after[left] < pieces.length) {
                before[after[left]] = left;
            }
            push(before[left]);
            push(left);
        }

        private void push(int left) {
            int rank = rankAt(left);
            if (rank >= 0) {
                heap.add(((long) rank << 32) | left);
            }
        }

        private int rankAt(int left) {
            if (left < 0 || after[left] >= pieces.length || pieces[left] == null) {
                return -1;
            }
            Integer rank = ranks.get(pieces[left] + " " + pieces[after[left]]);
            return rank == null ? -1 : rank;
        }
    }
}
