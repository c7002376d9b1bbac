using System.Numerics;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>How weights become 4-bit codes of a book with one scale for each block: NF4 as QLoRA has it.</summary>
/// <remarks>Dettmers et al., arXiv:2305.14314, section 3.</remarks>
public sealed record BlockwiseOptions
{
    /// <summary>The smallest block that bitsandbytes has.</summary>
    public const int SmallestBlock = 32;

    /// <summary>The largest block that bitsandbytes has.</summary>
    public const int LargestBlock = 4096;

    /// <summary>What the codes stand for.</summary>
    public CodeBook Book { get; init; } = CodeBook.NormalFloat4;

    /// <summary>Weights that share a scale, in the order of rows: a power of two from 32 to 4096.</summary>
    public int BlockSize { get; init; } = 64;

    /// <summary>Scales become 8-bit codes themselves, in blocks of 256: 0.37 bits less for a weight in blocks of 64.</summary>
    public bool DoubleQuantization { get; init; }

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public void Validate()
    {
        if (!IsBlock(BlockSize))
        {
            throw new UserErrorException($"The quantisation's block is {BlockSize} weights, allowed are powers of two from {SmallestBlock} to {LargestBlock}; 64 is the usual choice.");
        }
    }

    /// <summary>Whether there are blocks of that size.</summary>
    internal static bool IsBlock(int size) => size is >= SmallestBlock and <= LargestBlock && BitOperations.IsPow2(size);
}
