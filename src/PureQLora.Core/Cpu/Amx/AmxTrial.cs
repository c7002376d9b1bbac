using System.ComponentModel;

namespace PureQLora.Core;

/// <summary>Whether a processor that has tiles may and can use them here.</summary>
/// <param name="permission">Why the system refuses them, as the end of a sentence; null where it does not.</param>
/// <param name="selfTest">Whether small products are right.</param>
internal sealed class AmxTrial(Func<string?> permission, Func<bool> selfTest)
{
    /// <summary>That of this process.</summary>
    public static AmxTrial OfThisMachine { get; } =
        new(static () => AmxPermission.Obstacle, static () => AmxSelfTest<AmxKernels>.Passes(static () => new AmxThread()));

    /// <summary>Why tiles cannot be used, as the end of a sentence; null where they can. Only for processors that have them.</summary>
    public string? Obstacle()
    {
        // Without permission the first instruction would end the process.
        if (permission() is { } refusal)
        {
            return refusal;
        }

        try
        {
            return selfTest() ? null : "products of its tiles are wrong here";
        }
        catch (Win32Exception exception)
        {
            return $"the system gives no memory for code or signal handlers of tiles ({exception.Message})";
        }
    }
}
