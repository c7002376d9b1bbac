using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Mutates valid files and demands that a reader either takes the result or refuses it as the user's mistake.</summary>
internal static class HostileInput
{
    /// <summary>Reads mutated copies of a file in memory.</summary>
    public static void CheckReader(byte[] valid, Action<byte[]> read, int tests = 1000)
    {
        Gen<(int At, int Kind, byte Value)> mutation =
            from at in Gen.Choose(0, Math.Max(0, valid.Length - 1))
            from kind in Gen.Choose(0, 5)
            from value in Gen.Choose(0, 255)
            select (at, kind, (byte)value);

        // Few mutations, so that most of the file is still what its reader expects and the deeper checks are reached.
        Property property = Prop.ForAll(
            Arb.From(Gen.ListOf(mutation).Resize(4)),
            mutations =>
            {
                byte[] bytes = [.. valid];
                foreach ((int at, int kind, byte value) in mutations)
                {
                    bytes = Mutate(bytes, at, kind, value);
                }

                try
                {
                    read(bytes);
                }
                catch (UserErrorException)
                {
                    // Refusing is right; any other exception fails the property.
                }

                return true;
            });
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(tests).WithReplay(20240611, 1), property);
    }

    private static byte[] Mutate(byte[] bytes, int at, int kind, byte value)
    {
        if (bytes.Length == 0)
        {
            return [value];
        }

        at %= bytes.Length;
        return kind switch
        {
            0 => [.. bytes[..at], value, .. bytes[(at + 1)..]],
            1 => [.. bytes[..at], .. bytes[(at + 1)..]],
            2 => [.. bytes[..at], value, .. bytes[at..]],
            3 => bytes[..at],
            4 => [.. bytes[..at], .. "[{\"-19e\\}],:nul"u8[(value % 14)..], .. bytes[at..]],
            _ => [.. bytes[..at], .. bytes[(at / 2)..]],
        };
    }
}
