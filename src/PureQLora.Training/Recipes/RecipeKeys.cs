using System.Collections;
using System.Globalization;
using System.Reflection;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>The keys that recipes have, read off the records themselves.</summary>
internal static class RecipeKeys
{
    private static readonly Dictionary<string, Type> Leaves = Collect(typeof(Recipe), "").ToDictionary(leaf => leaf.Key, leaf => leaf.Type, StringComparer.OrdinalIgnoreCase);

    private static readonly HashSet<string> Paths = new(["model:path", "model:adapter", "data:train", "evaluation:file"], StringComparer.OrdinalIgnoreCase);

    private static readonly HashSet<string> Automatic = new(["training:precision"], StringComparer.OrdinalIgnoreCase);

    /// <summary>True where the key may leave the choice to the program, and the value does.</summary>
    public static bool IsAutomatic(string key, string? value) => Automatic.Contains(key) && string.Equals(value, "auto", StringComparison.OrdinalIgnoreCase);

    /// <summary>True where the key takes a list of texts.</summary>
    public static bool IsList(string key) => Leaves.TryGetValue(key, out Type? type) && IsListType(type);

    /// <summary>True where the key names a file or folder.</summary>
    public static bool IsPath(string key) => Paths.Contains(key);

    /// <summary>Refuses keys that no recipe has, and values that their keys cannot take.</summary>
    /// <exception cref="UserErrorException">Names the key and the nearest known one, or the value and what is allowed.</exception>
    public static void Check(IReadOnlyDictionary<string, string?> values, string source)
    {
        foreach ((string key, string? value) in values)
        {
            if (!IsKnown(key))
            {
                string nearest = Leaves.Keys.MinBy(known => Remoteness(known.ToUpperInvariant(), key.ToUpperInvariant()))!;
                throw new UserErrorException($"{source}: there is no key {Dotted(key)}; the nearest is {Dotted(nearest)}.");
            }

            Type type = ValueType(key);
            if (type != typeof(string) && !IsAutomatic(key, value) && !Parses(type, value ?? ""))
            {
                throw new UserErrorException($"{source}: {Dotted(key)} is \"{value}\", allowed is {(Automatic.Contains(key) ? "auto, " : "")}{Allowed(type)}.");
            }
        }
    }

    private static string Dotted(string key) => key.Replace(':', '.');

    private static Type ValueType(string key)
    {
        if (!Leaves.TryGetValue(key, out Type? type))
        {
            type = Leaves[key[..key.LastIndexOf(':')]];
        }

        return IsMapType(type) ? type.GenericTypeArguments[1] : IsListType(type) ? typeof(string) : type;
    }

    private static bool Parses(Type type, string value) => type switch
    {
        _ when type == typeof(bool) => bool.TryParse(value, out _),
        _ when type == typeof(int) => int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
        _ when type == typeof(ulong) => ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _),
        _ when type == typeof(double) => double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number),
        _ when type.IsEnum => Enum.GetNames(type).Contains(value, StringComparer.OrdinalIgnoreCase),
        _ => throw new NotSupportedException($"No way to check a {type.Name}."),
    };

    private static string Allowed(Type type) => type switch
    {
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(int) => "a whole number",
        _ when type == typeof(ulong) => "a whole number from 0",
        _ when type.IsEnum => string.Join(", ", Enum.GetNames(type).Select(name => char.ToLowerInvariant(name[0]) + name[1..])),
        _ => "a number",
    };

    private static bool IsKnown(string key)
    {
        if (Leaves.ContainsKey(key))
        {
            return true;
        }

        int last = key.LastIndexOf(':');
        return last > 0 && Leaves.TryGetValue(key[..last], out Type? type) && (IsListType(type) || IsMapType(type));
    }

    private static IEnumerable<(string Key, Type Type)> Collect(Type record, string prefix)
    {
        foreach (PropertyInfo property in record.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite))
        {
            string key = prefix + char.ToLowerInvariant(property.Name[0]) + property.Name[1..];
            Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (type.IsPrimitive || type.IsEnum || type == typeof(string) || IsListType(type) || IsMapType(type))
            {
                yield return (key, type);
                continue;
            }

            foreach ((string, Type) leaf in Collect(type, key + ":"))
            {
                yield return leaf;
            }
        }
    }

    private static bool IsMapType(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>);

    private static bool IsListType(Type type) => type != typeof(string) && !IsMapType(type) && typeof(IEnumerable).IsAssignableFrom(type);

    /// <summary>Letters that differ; a key in the wrong section, or in none, is but one step away.</summary>
    private static int Remoteness(string known, string key) =>
        Math.Min(Distance(known, key), 1 + Distance(known[(known.LastIndexOf(':') + 1)..], key[(key.LastIndexOf(':') + 1)..]));

    /// <summary>Levenshtein distance.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            (int diagonal, row[0]) = (row[0], i);
            for (int j = 1; j <= b.Length; j++)
            {
                int substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
