package org.leanclip.core;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** What {@code leanclip probe} asks for: {@code job.json} beside a folder {@code bundle}. */
public final class ProbeJob {
    public static final String JOB = "job.json";
    public static final String BUNDLE = "bundle";
    public static final String RESULT = "result.json";
    /** Takes one sentence where there can be no result. */
    public static final String FAILURE = "failure.txt";

    static final int SCHEMA_VERSION = 1;

    public final Bundle bundle;
    /** The tower files to probe; the others that the manifest names are not there. */
    public final List<TowerFile> files = new ArrayList<>();
    public final int threads;
    final int warmUps;
    final int runs;
    /** 0 for no sustained run. */
    final double sustainedSeconds;

    private ProbeJob(File folder) {
        Fields fields = new Fields(Bundle.parsed(new File(folder, JOB)), JOB);
        if (fields.whole("schema_version") != SCHEMA_VERSION) {
            throw new BundleException(
                    JOB + " is of another version: install the app of this version of leanclip");
        }
        bundle = Bundle.read(new File(folder, BUNDLE));
        for (Object name : fields.list("files")) {
            files.add(named(String.valueOf(name)));
        }
        threads = fields.whole("threads");
        warmUps = fields.whole("warm_ups");
        runs = fields.whole("runs");
        sustainedSeconds = fields.number("sustained_seconds", 0);
    }

    /**
     * Reads a job.
     *
     * @throws BundleException it or its bundle is malformed.
     */
    public static ProbeJob read(File folder) {
        return new ProbeJob(folder);
    }

    private TowerFile named(String name) {
        for (TowerFile file : bundle.files) {
            if (file.file.equals(name)) {
                return file;
            }
        }
        throw new BundleException(JOB + " asks for " + name + ", which its bundle does not name");
    }
}
