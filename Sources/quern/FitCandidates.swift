import Footprint
import IR
import Kernels
import Passes

/// What a model needs on devices, by recipe and with a format of its own for each matrix. Plans are made once for all
/// devices.
struct FitCandidates {
  struct Candidate {
    let name: String
    let plan: QuantizationPlan
    let bitsPerWeight: Double
    let fit: DeviceFit
  }

  static let mixedName = "per matrix"

  /// A plan, and what it makes of the model.
  private struct Planned {
    let name: String
    let plan: QuantizationPlan
    let bitsPerWeight: Double
    let planner: FitPlanner
  }

  /// What of a device its plan depends on.
  private struct MemoryClass: Hashable {
    let usableBytes: Int
    let isHost: Bool
    let isUnified: Bool
  }

  private let stored: ModelShape
  private let request: FootprintRequest
  private let profile: RuntimeProfile
  private let host: Device
  private let recipes: [Planned]
  private let allocator: BudgetAllocator?
  /// What each matrix loses in each format, where a text told.
  var measured: [TensorChoices]? {
    didSet { mixedPlans = [:] }
  }
  private var mixed: [[BlockFormat]: Planned] = [:]
  private var mixedPlans: [MemoryClass: QuantizationPlan] = [:]

  /// - Parameter allocator: nil to keep to whole recipes.
  init(
    _ model: Model, _ stored: ModelShape, _ request: FootprintRequest, profile: RuntimeProfile, host: Device,
    allocator: BudgetAllocator?, isCalibrated: Bool
  ) throws {
    self.stored = stored
    self.request = request
    self.profile = profile
    self.host = host
    self.allocator = allocator
    var recipes: [Planned] = []
    for recipe in try RecipeBook().recipes where recipe.packing == nil {
      // Ternary types ruin a model that was not trained for them.
      guard ![BlockFormat.tq1_0, .tq2_0].contains(recipe.format) else { continue }
      let planned = try Self.planned(
        recipe.name, recipe.plan(for: model, isCalibrated: isCalibrated), stored, request, host)
      // Wider than it is, a model only wastes.
      if planned.bitsPerWeight <= stored.bitsPerWeight + 0.01 { recipes.append(planned) }
    }
    self.recipes = recipes
  }

  private static func planned(
    _ name: String, _ plan: QuantizationPlan, _ stored: ModelShape, _ request: FootprintRequest, _ host: Device
  ) throws -> Planned {
    let shape = stored.formatted(by: plan)
    return Planned(
      name: name, plan: plan, bitsPerWeight: shape.bitsPerWeight,
      planner: try usage { () throws(FootprintError) in try FitPlanner(shape, request, host: host) })
  }

  /// Most bits first.
  mutating func all(on device: Device) throws -> [Candidate] {
    var planned = recipes
    if let mixed = try mixed(on: device) { planned.append(mixed) }
    let candidates = try planned.compactMap { planned in
      try usage { () throws(FootprintError) in try planned.planner.fit(on: device) }.map {
        Candidate(name: planned.name, plan: planned.plan, bitsPerWeight: planned.bitsPerWeight, fit: $0)
      }
    }
    return candidates.sorted { $0.bitsPerWeight > $1.bitsPerWeight }
  }

  static func best(of candidates: [Candidate]) -> Candidate? {
    candidates.first { $0.name == mixedName && $0.fit.fits } ?? candidates.first { $0.fit.fits }
  }

  /// The smallest plan there is when none fits.
  private mutating func mixed(on device: Device) throws -> Planned? {
    guard let allocator, let usable = FitPlanner.usableBytes(of: device, by: profile) else { return nil }
    let memory = MemoryClass(usableBytes: usable, isHost: device.isHost, isUnified: device.isUnified)
    let plan: QuantizationPlan
    if let known = mixedPlans[memory] {
      plan = known
    } else {
      var request = request
      request.device = device
      let headroom = { [stored, request] (plan: QuantizationPlan) throws -> Int in
        let shape = stored.formatted(by: plan)
        return usable - (try usage { () throws(FootprintError) in try Footprint(of: shape, for: request) }).totalBytes
      }
      plan = try measured.map { try allocator.plan($0, headroom: headroom) } ?? allocator.plan(headroom: headroom)
      mixedPlans[memory] = plan
    }
    let formats = plan.steps.map(\.to)
    if let known = mixed[formats] { return known }
    let planned = try Self.planned(Self.mixedName, plan, stored, request, host)
    mixed[formats] = planned
    return planned
  }
}
