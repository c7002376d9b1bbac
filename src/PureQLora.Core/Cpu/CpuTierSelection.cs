using System.ComponentModel;

namespace PureQLora.Core;

/// <summary>Which tiers a processor and system can run, why not the others, and which one to take.</summary>
/// <param name="has">Whether the processor has the instructions of a tier.</param>
/// <param name="map">Makes machine code executable; throws where the system forbids that.</param>
/// <param name="tiles">Tries the tiles of a processor that has them; null tries those of this one.</param>
internal sealed unsafe class CpuTierSelection(Func<CpuTier, bool> has, Func<byte[], ExecutableMemory> map, AmxTrial? tiles = null)
{
    private readonly Dictionary<CpuTier, string?> _reasons = [];

    /// <summary>That of this processor and system.</summary>
    public static CpuTierSelection OfThisMachine { get; } = new(CpuFeatures.Has, code => new ExecutableMemory(code));

    /// <summary>The highest tier that can run. One in software only is never taken unasked: scalar code is faster.</summary>
    public CpuTier Highest => Enum.GetValues<CpuTier>().Last(tier => tier == CpuTier.Scalar || (has(tier) && Obstacle(tier) is null));

    /// <summary>Why a tier cannot run here, as the end of a sentence; null where it can. What it says was tried once.</summary>
    public string? Obstacle(CpuTier tier)
    {
        lock (_reasons)
        {
            return _reasons.TryGetValue(tier, out string? reason) ? reason : _reasons[tier] = Try(tier);
        }
    }

    /// <summary>Takes what the variable asks for, or else the highest tier.</summary>
    /// <param name="asked">Value of <see cref="CpuTierNames.Variable"/>; null or empty: nothing is asked for.</param>
    /// <exception cref="UserErrorException">There is no such tier, or it cannot run here.</exception>
    public CpuTierChoice Choose(string? asked)
    {
        if (string.IsNullOrEmpty(asked))
        {
            CpuTier highest = Highest;
            CpuTier[] refused = [.. Enum.GetValues<CpuTier>().Where(tier => tier > highest && has(tier) && Obstacle(tier) is not null)];
            return new CpuTierChoice(highest, refused is [.., CpuTier above] ? $"not {above.Name()}: {Obstacle(above)}" : null);
        }

        if (!CpuTierNames.TryParse(asked, out CpuTier tier))
        {
            throw new UserErrorException($"{CpuTierNames.Variable} is {asked}, allowed here: {Allowed()}.");
        }

        return Obstacle(tier) is { } obstacle
            ? throw new UserErrorException($"{CpuTierNames.Variable} is {asked}, but {obstacle}; allowed here: {Allowed()}.")
            : new CpuTierChoice(tier, $"as {CpuTierNames.Variable} says");
    }

    private string Allowed() => string.Join(", ", Enum.GetValues<CpuTier>().Where(tier => Obstacle(tier) is null).Select(tier => tier.Name()));

    private string? Try(CpuTier tier)
    {
        if (tier is CpuTier.Scalar or CpuTier.Vector128)
        {
            return null;
        }

        if (!has(tier))
        {
            return $"this processor lacks {Instructions(tier)}";
        }

        return tier switch
        {
            CpuTier.Amx => Obstacle(CpuTier.Avx512BFloat16) ?? (tiles ?? AmxTrial.OfThisMachine).Obstacle(),
            CpuTier.Avx512BFloat16 => TryMachineCode(),
            _ => null,
        };
    }

    /// <summary>Assembles a kernel with the tier's instructions, runs it and looks at its result.</summary>
    private string? TryMachineCode()
    {
        try
        {
            using ExecutableMemory code = map(MachineCodeProbe.Assemble());
            return MachineCodeProbe.Run(code) ? null : "its instructions give wrong results here";
        }
        catch (Win32Exception exception)
        {
            return $"the system forbids executable pages ({exception.Message})";
        }
    }

    private static string Instructions(CpuTier tier) => tier switch
    {
        CpuTier.Avx2 => "AVX2 with FMA",
        CpuTier.Avx512 => "AVX-512 F, BW, DQ and VL",
        CpuTier.Avx512BFloat16 => "AVX-512 BF16 and VNNI",
        _ => "AMX with BF16 and INT8",
    };
}
