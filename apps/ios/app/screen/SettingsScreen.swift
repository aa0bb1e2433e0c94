import SwiftUI

/// What runs on this phone, which photos are indexed, and which are not and why.
struct SettingsScreen: View {
    @EnvironmentObject private var session: Session
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationStack {
            List {
                model
                indexing
                if !session.unreadable.isEmpty { unreadable }
            }
            .navigationTitle("Model and photos")
            .navigationBarTitleDisplayMode(.inline)
            .toolbar { Button("Done") { dismiss() } }
        }
    }

    private var model: some View {
        Section("Model") {
            if let engine = session.engine {
                LabeledContent("Name", value: engine.manifest.name)
                LabeledContent("Licence", value: engine.manifest.licence)
                ForEach(engine.details, id: \.self) { Text($0).font(.footnote) }
            } else {
                Text(session.message ?? "The model is being tested.")
            }
        }
    }

    private var indexing: some View {
        Section {
            LabeledContent("Indexed", value: session.count.formatted())
            Toggle("Index when hot or in Low Power Mode", isOn: $session.overridden)
            Toggle("Fetch photos from iCloud", isOn: $session.fetching)
            if session.isIndexing {
                Button("Stop indexing") { session.stopIndexing() }
            } else {
                Button("Index new photos") { session.index() }
                    .disabled(session.engine == nil)
            }
        } header: {
            Text("Photos")
        } footer: {
            Text("Nothing leaves this device. Photos are fetched from your iCloud only if you ask.")
        }
    }

    private var unreadable: some View {
        Section("Photos that could not be read") {
            ForEach(session.unreadable.sorted { $0.key < $1.key }, id: \.key) { photo, reason in
                HStack {
                    PhotoImage(photo: photo, side: 44, filling: true).frame(width: 44, height: 44)
                    Text(reason).font(.footnote)
                }
            }
        }
    }
}
