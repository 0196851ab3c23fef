public import ArgumentParser
import Bytes
import Catalog
import Conversion
import Kernels
public import SystemPackage

/// What every command takes.
struct CommonOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Threads to work with.", discussion: "Default: all the processor lets us use."))
  var threads: Int?

  @Option(help: "Instruction set: generic, avx2, avx512 or neon (default: the best here; also QUERN_ISA).")
  var isa: String?

  @Flag(help: "One JSON object on standard output instead of text.")
  var json = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024, not \(threads)") }
  }

  func processor() throws -> Processor {
    let wanted = isa ?? Environment["QUERN_ISA"]
    let kernels =
      try wanted.map { name throws(KernelSelectionError) in try Kernels.named(name.lowercased()) } ?? Kernels.best()
    return Processor(kernels: kernels, pool: WorkerPool(threads: threads ?? Environment.processorCount))
  }
}

extension FilePath: @retroactive ExpressibleByArgument {
  public init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    self.init(argument)
  }

  public static var defaultCompletionKind: CompletionKind { .file() }
}

extension OpenedModel {
  init(_ path: FilePath) throws { try self.init(path, catalog: try Catalog()) }
}

extension OpenedCheckpoint {
  init(_ path: FilePath) throws { try self.init(path, catalog: try Catalog()) }
}
