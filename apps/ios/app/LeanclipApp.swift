import LeanclipCore
import SwiftUI

@main
struct LeanclipApp: App {
    @StateObject private var session = Session()

    var body: some Scene {
        WindowGroup {
            if let run = ProbeFolder.run(in: CommandLine.arguments) {
                ProbeScreen(run: run)
            } else {
                SearchScreen().environmentObject(session)
            }
        }
    }
}
