import ArgumentParser
import Footprint
import IR
import Passes

/// How a model would be run: shared by the commands that tell memory.
struct MemoryOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "Tokens per sequence (default: the model's own, at most 8192).")
  var context: Int?

  @Option(parsing: .unconditional, help: "Tokens of the longest prompt within it (default: all).")
  var prompt: Int?

  @Option(parsing: .unconditional, help: "Sequences at once.")
  var batch = 1

  @Option(
    help: """
      Type of the KV cache: f16, f32 (which our own runtime has with exact arithmetic), q8_0, q4_0; llama.cpp's also \
      bf16 and the like.
      """)
  var kv = "f16"

  @Option(
    help: "Who would run it: quern, llama.cpp, llama-server, transformers, transformers-4.44, chatglm or vllm.")
  var profile = "quern"

  @Option(parsing: .unconditional, help: "Tokens of a prompt computed at a time (default: the profile's).")
  var ubatch: Int?

  @Option(
    help: ArgumentHelp("Whether attention scores are never stored (default: the profile's).", valueName: "on|off"))
  var flashAttention: String?

  @Option(
    help: ArgumentHelp("A device it should fit, such as 'RTX 3060'; several may be given, or all.", valueName: "name"))
  var device: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Memory that weights, KV cache and buffers should fit: 6GB, 8GiB. A GPU's driver counts, quern itself does not.",
      valueName: "size"))
  var vram: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "llama.cpp: only so many layers on the device, as its --n-gpu-layers counts (the head is the first).",
      valueName: "n"))
  var gpuLayers: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("llama.cpp: experts of so many first layers stay with the host (--n-cpu-moe).", valueName: "n"))
  var cpuMoe: Int?

  @Option(
    help: ArgumentHelp(
      "Whose memory takes what a device has no room for: for the speed of a divided model.", valueName: "name"))
  var host = "CPU DDR4-3200 2ch"

  func request(for shape: ModelShape) throws -> FootprintRequest {
    let profile = try usage { () throws(FootprintError) in try RuntimeProfile.named(self.profile) }
    guard let format = BlockFormat.named(kv) else {
      let known = profile.cacheFormats.map { $0.name.lowercased() }
      throw UsageError("--kv takes \(known.joined(separator: ", ")) in the profile \(profile.name), not '\(kv)'")
    }
    let trained = shape.hyperparameters.integer("context_length") ?? 4096
    var request = FootprintRequest(
      context: context ?? min(trained, 8192), batch: batch, keyFormat: format, valueFormat: format,
      profile: profile)
    if gpuLayers != nil || cpuMoe != nil {
      request.offload = Offload(gpuLayers: gpuLayers ?? 1_000_000, layersWithoutExperts: cpuMoe ?? 0)
    }
    request.microBatch = ubatch
    request.promptTokens = prompt
    switch flashAttention {
    case nil: break
    case "on"?: request.flashAttention = true
    case "off"?: request.flashAttention = false
    case let other?: throw UsageError("--flash-attention takes on or off, not '\(other)'")
    }
    return request
  }

  /// What was asked for; this machine when nothing was.
  func devices() throws -> [Device] {
    let catalog = try usage { () throws(FootprintError) in try DeviceCatalog() }
    var devices: [Device] = []
    let budget = try vram.map { text throws(UsageError) in
      guard let size = ByteSize(text), size.bytes >= 1 << 20 else {
        let hint = Double(text).map { $0 >= 1 } == true ? ": say the unit, --vram \(text)GB or \(text)GiB" : ""
        throw UsageError("--vram takes a size such as 6GB or 512MB, not '\(text)'\(hint)")
      }
      return size.bytes
    }
    var isBudgetUsed = false
    for name in device {
      if name.lowercased() == "all" {
        devices += catalog.devices.filter { $0.usableBytes != nil }
        continue
      }
      var found = try usage { () throws(FootprintError) in try catalog.device(named: name) }
      if found.usableBytes == nil {
        guard let budget else {
          throw UsageError("\(found.name) comes with any amount of memory: say how much with --vram")
        }
        found.usableBytes = budget
        isBudgetUsed = true
      }
      devices.append(found)
    }
    if let vram, let budget, !isBudgetUsed {
      devices.append(Device(name: "--vram \(vram)", kind: "budget", usableBytes: budget))
    }
    if devices.isEmpty, let bytes = Environment.availableMemoryBytes {
      devices.append(Device(name: "this machine, now", usableBytes: bytes))
    }
    return devices
  }

  /// Whose memory takes what a device has no room for.
  func hostDevice() throws -> Device {
    try usage { () throws(FootprintError) in try DeviceCatalog().device(named: host) }
  }
}

/// What a footprint cannot do is a mistake in the request.
func usage<Result>(_ body: () throws(FootprintError) -> Result) throws -> Result {
  do { return try body() } catch { throw UsageError("\(error)") }
}

extension ModelShape {
  /// The model as it is, or as if quantized by a recipe; see `held(by:)` for matrices packed for GPU libraries.
  init(_ described: DescribedModel, recipe name: String?) throws {
    let model = described.model
    self = described.shape
    guard let name else { return }
    let recipe = try RecipeBook().recipe(called: name)
    let plan = try recipe.plan(for: model)
    self = formatted(by: plan)
    guard let scheme = plan.packing else { return }
    let steps = Dictionary(plan.steps.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self = packed { tensor, shape in
      guard let step = steps[tensor], step.isPacked else { return nil }
      return PackedEncoding(
        kind: scheme.label, bits: scheme.method == .w8a8 ? 8 : 4,
        byteCount: scheme.byteCount(of: shape, scaleFormat: PackingScheme.scaleFormat(for: step.to)))
    }
  }

  /// The same model as the plan leaves it.
  func formatted(by plan: QuantizationPlan) -> ModelShape {
    let formats = Dictionary(plan.steps.map { ($0.name, $0.to) }, uniquingKeysWith: { first, _ in first })
    return formatted { name, _, stored in formats[name] ?? stored }
  }
}
