namespace PureQLora.Training;

/// <summary>
/// MT19937 seeded and sampled as Python's <c>random.Random(seed)</c>, so that few-shot prompts hold the very shots
/// that lm-evaluation-harness draws.
/// </summary>
/// <remarks>Matsumoto and Nishimura, ACM TOMACS 8(1), 1998, with the array seeding of the 2002 reference; sampling as CPython 3.11, Lib/random.py.</remarks>
public sealed class MersenneTwister
{
    private const int Size = 624;
    private const int Middle = 397;

    private readonly uint[] _state = new uint[Size];
    private int _index = Size;

    /// <summary>Seeds the generator as <c>random.Random(seed)</c> does.</summary>
    public MersenneTwister(ulong seed)
    {
        uint[] key = seed > uint.MaxValue ? [(uint)seed, (uint)(seed >> 32)] : [(uint)seed];
        SeedOne(19650218);
        int i = 1;
        int j = 0;
        for (int k = Size; k > 0; k--)
        {
            _state[i] = (_state[i] ^ ((_state[i - 1] ^ (_state[i - 1] >> 30)) * 1664525)) + key[j] + (uint)j;
            Advance(ref i);
            j = (j + 1) % key.Length;
        }

        for (int k = Size - 1; k > 0; k--)
        {
            _state[i] = (_state[i] ^ ((_state[i - 1] ^ (_state[i - 1] >> 30)) * 1566083941)) - (uint)i;
            Advance(ref i);
        }

        _state[0] = 0x80000000;
    }

    /// <summary>The next 32 random bits.</summary>
    public uint NextUInt32()
    {
        if (_index == Size)
        {
            Twist();
        }

        uint y = _state[_index++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        return y ^ (y >> 18);
    }

    /// <summary>A uniform integer in 0 … bound − 1, drawn as Python's <c>_randbelow</c>: just enough bits, again until they fit.</summary>
    /// <param name="bound">At least 1.</param>
    public int NextBelow(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bound, 1);
        int unused = System.Numerics.BitOperations.LeadingZeroCount((uint)bound);
        uint drawn;
        do
        {
            drawn = NextUInt32() >> unused;
        }
        while (drawn >= (uint)bound);

        return (int)drawn;
    }

    /// <summary><c>random.sample(range(population), count)</c>: distinct indices in the order drawn.</summary>
    /// <param name="population">Number of things to choose from.</param>
    /// <param name="count">How many, at most <paramref name="population"/>.</param>
    public int[] Sample(int population, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, population);

        // CPython compares the memory of a pool with that of a set: 4^ceil(log4(3k)) entries for the latter.
        long setSize = 21;
        if (count > 5)
        {
            long entries = 1;
            while (entries < 3L * count)
            {
                entries *= 4;
            }

            setSize += entries;
        }

        return population <= setSize ? SampleFromPool(population, count) : SampleWithSet(population, count);
    }

    private int[] SampleFromPool(int population, int count)
    {
        int[] pool = [.. Enumerable.Range(0, population)];
        int[] result = new int[count];
        for (int i = 0; i < count; i++)
        {
            int j = NextBelow(population - i);
            result[i] = pool[j];
            pool[j] = pool[population - i - 1];
        }

        return result;
    }

    private int[] SampleWithSet(int population, int count)
    {
        HashSet<int> chosen = [];
        int[] result = new int[count];
        for (int i = 0; i < count; i++)
        {
            do
            {
                result[i] = NextBelow(population);
            }
            while (!chosen.Add(result[i]));
        }

        return result;
    }

    private void SeedOne(uint seed)
    {
        _state[0] = seed;
        for (int i = 1; i < Size; i++)
        {
            _state[i] = (1812433253 * (_state[i - 1] ^ (_state[i - 1] >> 30))) + (uint)i;
        }
    }

    private void Advance(ref int i)
    {
        if (++i == Size)
        {
            _state[0] = _state[Size - 1];
            i = 1;
        }
    }

    private void Twist()
    {
        for (int i = 0; i < Size; i++)
        {
            uint y = (_state[i] & 0x80000000) | (_state[(i + 1) % Size] & 0x7fffffff);
            _state[i] = _state[(i + Middle) % Size] ^ (y >> 1) ^ ((y & 1) * 0x9908b0df);
        }

        _index = 0;
    }
}
