using System.Security.Cryptography;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>A piece of work that always gives the same bits on a tier: with any threads, beside any other work, after any cancellation.</summary>
/// <param name="kind">Its name in the totals.</param>
internal abstract class StressUnit(string kind)
{
    /// <summary>Its name in the totals.</summary>
    public string Kind => kind;

    /// <summary>Does it, with a model of its own.</summary>
    /// <param name="backend">Computes; others may use it at the same time.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    public abstract StressOutcome Run(CpuBackend backend, CancellationToken cancellationToken);

    /// <summary>Stands for the bytes.</summary>
    protected static string Fingerprint(ReadOnlySpan<byte> bytes) => Convert.ToHexString(SHA256.HashData(bytes));

    /// <summary>All bits of a number.</summary>
    protected static string Bits(double value) => BitConverter.DoubleToUInt64Bits(value).ToString("X16", System.Globalization.CultureInfo.InvariantCulture);
}
