using System.Collections;
using System.Reflection;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>The keys that recipes have, read off the records themselves.</summary>
internal static class RecipeKeys
{
    private static readonly Dictionary<string, Type> Leaves = Collect(typeof(Recipe), "").ToDictionary(leaf => leaf.Key, leaf => leaf.Type, StringComparer.OrdinalIgnoreCase);

    /// <summary>True where the key takes a list of texts.</summary>
    public static bool IsList(string key) => Leaves.TryGetValue(key, out Type? type) && IsListType(type);

    /// <summary>Refuses keys that no recipe has.</summary>
    /// <exception cref="UserErrorException">Names the key and the nearest known one.</exception>
    public static void Check(IEnumerable<string> keys, string source)
    {
        foreach (string key in keys)
        {
            if (!IsKnown(key))
            {
                string nearest = Leaves.Keys.MinBy(known => Distance(known.ToUpperInvariant(), key.ToUpperInvariant()))!;
                throw new UserErrorException($"{source}: there is no key {key.Replace(':', '.')}; the nearest is {nearest.Replace(':', '.')}.");
            }
        }
    }

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
