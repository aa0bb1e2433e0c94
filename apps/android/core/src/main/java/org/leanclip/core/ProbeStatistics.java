package org.leanclip.core;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The figures of a probe, by the same rules as on every other device. */
public final class ProbeStatistics {
    public static final int WARM_UPS = 10;
    public static final int LEAST_RUNS = 50;

    private static final double SLICE_SECONDS = 15;
    private static final int DIGITS = 4;
    private static final double SMALLEST = 1e-4;

    /** When a call of a sustained run began, in seconds since the first, and how long it took. */
    public static final class Call {
        final double start;
        final double milliseconds;

        public Call(double start, double milliseconds) {
            this.start = start;
            this.milliseconds = milliseconds;
        }
    }

    private ProbeStatistics() {}

    /** The object {@code timing} of a result. */
    public static Map<String, Object> timing(
            double[] milliseconds, int warmUps, double coldLoad, double warmLoad, double first) {
        if (milliseconds.length < LEAST_RUNS || warmUps < WARM_UPS) {
            throw new IllegalArgumentException(
                    "a latency needs " + WARM_UPS + " warm-ups and " + LEAST_RUNS + " runs");
        }
        double[] kept = new double[milliseconds.length];
        List<Double> listed = new ArrayList<>();
        for (int place = 0; place < kept.length; place++) {
            kept[place] = rounded(milliseconds[place], DIGITS);
            listed.add(kept[place]);
        }
        Map<String, Object> timing = new LinkedHashMap<>();
        timing.put("cold_load_ms", rounded(coldLoad, DIGITS));
        timing.put("warm_load_ms", rounded(warmLoad, DIGITS));
        timing.put("first_inference_ms", rounded(first, DIGITS));
        timing.put("p50_ms", percentile(kept, 0.5));
        timing.put("p90_ms", percentile(kept, 0.9));
        timing.put("p99_ms", percentile(kept, 0.99));
        timing.put("trimmed_mean_ms", trimmedMean(kept));
        timing.put("runs", kept.length);
        timing.put("warm_ups", warmUps);
        timing.put("milliseconds", listed);
        return timing;
    }

    /** The object {@code sustained} of a result; there is at least one call. */
    public static Map<String, Object> sustained(List<Call> calls) {
        Map<Integer, List<Double>> found = new TreeMap<>();
        for (Call call : calls) {
            int slice = (int) Math.floor(call.start / SLICE_SECONDS);
            found.computeIfAbsent(slice, key -> new ArrayList<>()).add(call.milliseconds);
        }
        List<Object> slices = new ArrayList<>();
        double first = Double.NaN;
        double last = Double.NaN;
        for (Map.Entry<Integer, List<Double>> entry : found.entrySet()) {
            double[] inside = new double[entry.getValue().size()];
            for (int place = 0; place < inside.length; place++) {
                inside[place] = entry.getValue().get(place);
            }
            last = percentile(inside, 0.5);
            first = slices.isEmpty() ? last : first;
            Map<String, Object> slice = new LinkedHashMap<>();
            slice.put("start_s", entry.getKey() * SLICE_SECONDS);
            slice.put("p50_ms", last);
            slice.put("runs", inside.length);
            slices.add(slice);
        }
        Call end = calls.get(calls.size() - 1);
        Map<String, Object> sustained = new LinkedHashMap<>();
        sustained.put("seconds", rounded(end.start + end.milliseconds / 1e3, 3));
        sustained.put("slices", slices);
        // A clock too coarse for a tiny tower must not divide by zero.
        double slowDown = Math.max(last, SMALLEST) / Math.max(first, SMALLEST);
        sustained.put("slow_down", rounded(slowDown, DIGITS));
        return sustained;
    }

    /** The value below which a part of the runs lies, interpolated linearly. */
    static double percentile(double[] milliseconds, double part) {
        double[] sorted = milliseconds.clone();
        Arrays.sort(sorted);
        double place = part * (sorted.length - 1);
        int below = (int) Math.floor(place);
        int above = Math.min(below + 1, sorted.length - 1);
        double value = sorted[below] + (sorted[above] - sorted[below]) * (place - below);
        return rounded(value, DIGITS);
    }

    /** Mean without a tenth at each end. */
    static double trimmedMean(double[] milliseconds) {
        double[] sorted = milliseconds.clone();
        Arrays.sort(sorted);
        int cut = sorted.length / 10;
        double sum = 0;
        for (int place = cut; place < sorted.length - cut; place++) {
            sum += sorted[place];
        }
        return rounded(sum / (sorted.length - 2 * cut), DIGITS);
    }

    private static double rounded(double value, int digits) {
        return new BigDecimal(value).setScale(digits, RoundingMode.HALF_EVEN).doubleValue();
    }
}
