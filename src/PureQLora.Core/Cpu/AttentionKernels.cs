using System.Collections.Concurrent;

namespace PureQLora.Core;

/// <summary>The products of attention in bfloat16 for heads of one dimension; a tile has <see cref="Width"/> rows, which are its lanes.</summary>
internal sealed class AttentionKernels
{
    /// <summary>Rows of a tile: 64 of them as lanes are the four vectors that the products take at once.</summary>
    public const int Width = 64;

    private static readonly ConcurrentDictionary<int, AttentionKernels> ByDepth = new();

    private AttentionKernels(int depth)
    {
        Scores = new PairProductKernel(depth * sizeof(ushort), sizeof(uint), Width, PairProductKernel.Start.Zero);
        Output = new PairProductKernel(sizeof(uint), depth * sizeof(uint), Width, PairProductKernel.Start.ScaledSum);
        QueryGradient = new PairProductKernel(sizeof(uint), depth * sizeof(uint), Width, PairProductKernel.Start.Sum);
        KeyGradient = new PairProductKernel(Width * sizeof(ushort), sizeof(uint), depth, PairProductKernel.Start.Sum);
    }

    /// <summary>result[key, lane] = Σ over d of keys[key, d] · columns[d, lane].</summary>
    public PairProductKernel Scores { get; }

    /// <summary>columns[d, lane] = columns[d, lane] · factors[lane] + Σ over keys of values[key, d] · weights[key, lane].</summary>
    public PairProductKernel Output { get; }

    /// <summary>columns[d, lane] += Σ over keys of keys[key, d] · weights[key, lane].</summary>
    public PairProductKernel QueryGradient { get; }

    /// <summary>sums[key, d] += Σ over lanes of weights[key, lane] · rows[lane, d].</summary>
    public PairProductKernel KeyGradient { get; }

    /// <summary>The kernels for heads of a padded dimension, assembled when first asked for.</summary>
    public static AttentionKernels For(int depth) => ByDepth.GetOrAdd(depth, static depth => new AttentionKernels(depth));
}
