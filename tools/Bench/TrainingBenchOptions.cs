using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>What a measured training step is.</summary>
/// <param name="Seq">Tokens of the sequence.</param>
/// <param name="Rank">Rank of the adapters.</param>
/// <param name="Targets">Layers that get one.</param>
/// <param name="Precision">Of matrix products.</param>
internal sealed record TrainingBenchOptions(int Seq, int Rank, IReadOnlyList<string> Targets, Precision Precision);
