namespace PureQLora.Core;

/// <summary>The tier that a backend computes with, and why it is that one.</summary>
/// <param name="Tier">The instructions.</param>
/// <param name="Reason">Why not what the processor would have; null where it has nothing higher.</param>
internal sealed record CpuTierChoice(CpuTier Tier, string? Reason);
