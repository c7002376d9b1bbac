using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Where no backend was named: the caller's thread, and vectors as wide as the processor has them.</summary>
internal static class SingleThread
{
    public static CpuBackend Backend { get; } = new(threads: 1);
}
