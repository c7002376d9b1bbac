namespace PureQLora.Kernels.Tests;

/// <summary>Reproducible values.</summary>
internal static class Seeded
{
    /// <summary>Uniform in [−1, 1).</summary>
    public static float[] Floats(int count, int seed)
    {
        Random random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (random.NextSingle() * 2f) - 1f;
        }

        return values;
    }

    /// <summary>The upper halves of floats: exact bfloat16 numbers, two in a word.</summary>
    public static uint[] Pairs(int count, int seed)
    {
        float[] floats = Floats(2 * count, seed);
        uint[] pairs = new uint[count];
        for (int i = 0; i < count; i++)
        {
            pairs[i] = (BitConverter.SingleToUInt32Bits(floats[2 * i]) >> 16) | (BitConverter.SingleToUInt32Bits(floats[(2 * i) + 1]) & 0xFFFF0000u);
        }

        return pairs;
    }

    /// <summary>Number i of a row of pairs.</summary>
    public static float Number(uint[] pairs, int i) =>
        BitConverter.UInt32BitsToSingle(i % 2 == 0 ? pairs[i / 2] << 16 : pairs[i / 2] & 0xFFFF0000u);
}
