package org.leanclip.core;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Loads, checks and times tower files; no latency is told of one that failed its check. */
public final class Probe {
    private static final double NANOSECONDS = 1e6;

    /** The phone that the probe runs on. */
    public interface Phone {
        /** Objects {@code device} and {@code system} of a result. */
        Map<String, Object> device();

        Map<String, Object> system();

        /** Object {@code runtime} for a format, name and version. */
        Map<String, Object> runtime(String format);

        /** Who computes for a format, such as {@code CPU}; handed to the runtimes. */
        String delegate(String format);

        /** One of the schema's words; null where the system does not tell. */
        String thermal();

        /** Largest memory of this process so far; null where the system does not tell. */
        Long peakMemory();

        /** The time with its zone, ISO 8601. */
        String now();
    }

    /** Told what is being done. */
    public interface Progress {
        void of(String what);
    }

    private final ProbeJob job;
    private final Phone phone;
    private final TowerChoice.Runtimes runtimes;
    private final TowerChoice.Check check;

    public Probe(
            ProbeJob job, Phone phone, TowerChoice.Runtimes runtimes, TowerChoice.Check check) {
        this.job = job;
        this.phone = phone;
        this.runtimes = runtimes;
        this.check = check;
    }

    /**
     * Probes every file of the job.
     *
     * @param version of the app
     * @return the text of {@code result.json}
     */
    public String run(String version, Progress progress) {
        List<Object> files = new ArrayList<>();
        for (TowerFile file : job.files) {
            progress.of(file.file);
            files.add(file(file));
        }
        Map<String, Object> bundle = new LinkedHashMap<>();
        bundle.put("name", job.bundle.name);
        bundle.put("fingerprint", job.bundle.fingerprint);
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("schema_version", ProbeJob.SCHEMA_VERSION);
        result.put("leanclip", version);
        result.put("timestamp", phone.now());
        result.put("device", phone.device());
        result.put("system", phone.system());
        result.put("bundle", bundle);
        result.put("files", files);
        return Json.write(result);
    }

    private Map<String, Object> file(TowerFile file) {
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("tower", file.tower);
        result.put("format", file.format);
        result.put("precision", file.precision);
        result.put("file", file.file);
        result.put("sha256", file.sha256);
        result.put("runtime", phone.runtime(file.format));
        result.put("delegate", phone.delegate(file.format));
        result.put("threads", job.threads);
        result.put("golden", null);
        result.put("thermal_before", phone.thermal());
        try {
            measure(file, result);
        } catch (Exception | LinkageError error) {
            result.put("timing", null);
            result.put("sustained", null);
            result.put("reason", file.file + " cannot be run: " + oneLine(error));
        }
        result.put("thermal_after", phone.thermal());
        return result;
    }

    private void measure(TowerFile file, Map<String, Object> result) throws Exception {
        File path = job.bundle.checked(file);
        ByteBuffer input = input(file);
        String delegate = phone.delegate(file.format);
        long began = System.nanoTime();
        TowerChoice.Loaded tower = runtimes.load(file, path, delegate);
        double cold = since(began);
        try {
            double first = call(tower, input);
            GoldenCheck golden = check.of(file, tower);
            result.put("golden", golden.toJson());
            if (!golden.passed()) {
                String what = golden.failures.get(0);
                result.put(
                        "reason",
                        "no latency, since its golden check failed (" + what
                                + "); export it again");
                return;
            }
            double[] milliseconds = timed(tower, input);
            Map<String, Object> sustained = sustained(tower, input);
            // One file alone: of several, the peak could be another's.
            result.put("peak_memory_bytes", job.files.size() == 1 ? phone.peakMemory() : null);
            began = System.nanoTime();
            runtimes.load(file, path, delegate).close();
            double warm = since(began);
            result.put(
                    "timing",
                    ProbeStatistics.timing(milliseconds, job.warmUps, cold, warm, first));
            result.put("sustained", sustained);
        } finally {
            tower.close();
        }
    }

    private ByteBuffer input(TowerFile file) {
        if (file.tower.equals(TowerFile.TEXT)) {
            String sentence = Golden.read(job.bundle).sentences.get(0).text;
            return TowerInput.ofIds(new Tokenizer(job.bundle).encode(sentence), file);
        }
        byte[] pattern = Golden.pattern(job.bundle.preprocessing.size);
        return TowerInput.ofPixels(pattern, file, job.bundle.preprocessing);
    }

    private double[] timed(TowerChoice.Loaded tower, ByteBuffer input) throws Exception {
        for (int run = 0; run < job.warmUps; run++) {
            call(tower, input);
        }
        double[] milliseconds = new double[job.runs];
        for (int run = 0; run < job.runs; run++) {
            milliseconds[run] = call(tower, input);
        }
        return milliseconds;
    }

    private Map<String, Object> sustained(TowerChoice.Loaded tower, ByteBuffer input)
            throws Exception {
        if (job.sustainedSeconds <= 0) {
            return null;
        }
        List<ProbeStatistics.Call> calls = new ArrayList<>();
        long began = System.nanoTime();
        do {
            double start = since(began) / 1e3;
            calls.add(new ProbeStatistics.Call(start, call(tower, input)));
        } while (since(began) / 1e3 < job.sustainedSeconds);
        return ProbeStatistics.sustained(calls);
    }

    private static double call(TowerChoice.Loaded tower, ByteBuffer input) throws Exception {
        input.rewind();
        long began = System.nanoTime();
        tower.run(input);
        return since(began);
    }

    private static double since(long began) {
        return (System.nanoTime() - began) / NANOSECONDS;
    }

    private static String oneLine(Throwable error) {
        String message = error.getMessage() == null ? error.toString() : error.getMessage();
        return message.replaceAll("\\s+", " ").trim();
    }
}
