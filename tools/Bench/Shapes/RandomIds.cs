using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Token ids above 0, seeded.</summary>
internal static class RandomIds
{
    /// <summary>A sequence.</summary>
    /// <param name="count">Its length.</param>
    /// <param name="vocabulary">Ids are 1 … vocabulary − 1.</param>
    /// <param name="seed">Chooses them.</param>
    public static int[] Create(int count, int vocabulary, ulong seed)
    {
        ulong key = new RandomState(seed).NextKey();
        int[] ids = new int[count];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = 1 + (int)(RandomState.Bits(key, i) % (ulong)(vocabulary - 1));
        }

        return ids;
    }
}
