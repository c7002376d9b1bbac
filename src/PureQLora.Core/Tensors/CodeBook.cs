using System.Runtime.CompilerServices;

namespace PureQLora.Core;

/// <summary>The sixteen values that 4-bit codes stand for before they are scaled, where they are not 0 … 15 themselves.</summary>
/// <remarks>The values do not move, so that kernels on bare pointers need not pin them.</remarks>
public sealed unsafe class CodeBook
{
    /// <summary>Codes of a book.</summary>
    public const int Length = 16;

    private readonly float[] _levels = GC.AllocateArray<float>(Length, pinned: true);

    // Ascending: a value's rank is the number of midpoints below it, its code the one of that rank.
    private readonly float[] _midpoints = new float[Length - 1];
    private readonly byte[] _codeOfRank;

    /// <summary>Makes a book.</summary>
    /// <param name="name">Short, as formats and messages have it: <c>nf4</c>.</param>
    /// <param name="levels">Sixteen finite values by code, in any order.</param>
    /// <exception cref="ArgumentException">There are not sixteen, or one is not finite.</exception>
    public CodeBook(string name, ReadOnlySpan<float> levels)
        : this(name, levels, Length)
    {
        foreach (float level in levels)
        {
            if (!float.IsFinite(level))
            {
                throw new ArgumentException($"A level of the code book is {level}, allowed are finite numbers.", nameof(levels));
            }
        }
    }

    private CodeBook(string name, ReadOnlySpan<float> levels, int codes)
    {
        if (levels.Length != Length)
        {
            throw new ArgumentException($"A code book has {Length} levels; there are {levels.Length}.", nameof(levels));
        }

        Name = name;
        levels.CopyTo(_levels);
        float[] sorted = levels.ToArray();
        _codeOfRank = [.. Enumerable.Range(0, Length).Select(code => (byte)code)];
        Array.Sort(sorted, _codeOfRank);
        for (int i = 0; codes == Length && i < _midpoints.Length; i++)
        {
            // The largest float32 up to the exact middle: x lies above the one where it lies above the other.
            double middle = ((double)sorted[i] + sorted[i + 1]) / 2;
            _midpoints[i] = (float)middle <= middle ? (float)middle : MathF.BitDecrement((float)middle);
        }
    }

    /// <summary>NormalFloat: quantiles of a normal distribution, scaled to [−1, 1], one of them 0.</summary>
    /// <remarks>Dettmers et al., arXiv:2305.14314, appendix E; the values are those of bitsandbytes.</remarks>
    public static CodeBook NormalFloat4 { get; } = new(
        "nf4",
        [
            -1f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0f,
            0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1f,
        ]);

    /// <summary>Sign, two bits of exponent and one of fraction, scaled to [−1, 1] as bitsandbytes does.</summary>
    public static CodeBook Float4 { get; } = new(
        "fp4",
        [
            0f, 0.0052083334885537624f, 0.6666666865348816f, 1f, 0.3333333432674408f, 0.5f, 0.1666666716337204f, 0.25f,
            0f, -0.0052083334885537624f, -0.6666666865348816f, -1f, -0.3333333432674408f, -0.5f, -0.1666666716337204f, -0.25f,
        ]);

    /// <summary>Short name.</summary>
    public string Name { get; }

    /// <summary>Values by code.</summary>
    public ReadOnlySpan<float> Levels => _levels;

    /// <summary>Values by code; the book keeps the memory.</summary>
    internal float* Pointer => (float*)Unsafe.AsPointer(ref _levels[0]);

    /// <summary>Codes of the levels next to some values; of two that are equally near, the lower level.</summary>
    /// <param name="values">In [−1, 1] or wherever the levels lie.</param>
    /// <param name="codes">As many codes, one a byte.</param>
    public void Encode(ReadOnlySpan<float> values, Span<byte> codes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes.Length, values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            float value = values[i];
            int rank = 0;
            foreach (float midpoint in _midpoints)
            {
                rank += value > midpoint ? 1 : 0;
            }

            codes[i] = _codeOfRank[rank];
        }
    }

    /// <summary>What codes of that width are by themselves, repeated for fewer than 4 bits.</summary>
    internal static CodeBook Integers(int bits) => bits switch
    {
        2 => Uniform.Two,
        3 => Uniform.Three,
        _ => Uniform.Four,
    };

    /// <summary>Apart from the other books, which need not exist where all codes are integers.</summary>
    private static class Uniform
    {
        public static readonly CodeBook Two = Make(2), Three = Make(3), Four = Make(4);

        private static CodeBook Make(int bits) =>
            new($"int{bits}", [.. Enumerable.Range(0, Length).Select(code => (float)(code & ((1 << bits) - 1)))], 1 << bits);
    }
}
