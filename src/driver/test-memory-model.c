/* SPDX-License-Identifier: Apache-2.0 */
/* Any descriptors made of any others, against a model: for every byte, which buffer and which byte of it. */
#include "driver/test-memory.h"

#define BUFFERS 4
#define MODELS 40
#define BYTES_MOST (48 * P)

struct model {
        IOMemoryDescriptor *memory;
        uint64_t length;
        uint32_t *bytes;                /* number of the buffer << 24 | place in it */
        bool *begins;                   /* a piece begins here */
};

static struct model model_new(uint64_t length)
{
        return (struct model){ NULL, length, calloc(length + 1, sizeof(uint32_t)), calloc(length + 1, sizeof(bool)) };
}

static void model_add(struct model *to, uint64_t at, const struct model *from, uint64_t offset, uint64_t length)
{
        memcpy(to->bytes + at, from->bytes + offset, length * sizeof(uint32_t));
        memcpy(to->begins + at, from->begins + offset, length * sizeof(bool));
        to->begins[at] = true;
}

static struct model model_buffer(uint32_t number, uint64_t length)
{
        struct model made = model_new(length);
        IOBufferMemoryDescriptor *buffer = buffer_of(3, length);
        uint8_t *view = own_view(buffer);

        for (uint32_t i = 0; i < length; i++) {
                made.bytes[i] = number << 24 | i;
                view[i] = (uint8_t)(number * 50 + i / P * 7 + i % 251);
        }
        made.begins[0] = true;
        made.memory = &buffer->descriptor;
        return made;
}

static uint64_t up_to(uint64_t most)
{
        return (uint64_t)rand() % (most + 1);
}

/* Whole pages more often than chance would have it. */
static uint64_t place_up_to(uint64_t most)
{
        uint64_t place = up_to(most);

        return rand() % 4 ? place / P * P : place;
}

static struct model model_part(const struct model *of)
{
        uint64_t offset = place_up_to(of->length), length = rand() % 2 ? of->length - offset : place_up_to(of->length - offset);
        struct model made = model_new(length);

        model_add(&made, 0, of, offset, length);
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, offset, length, of->memory, &made.memory), 0);
        return made;
}

static struct model model_joined(const struct model *models, uint32_t count)
{
        const struct model *chosen[32];
        IOMemoryDescriptor *with[32];
        uint32_t number = 0, wanted = 1 + (uint32_t)up_to(5);
        uint64_t length = 0;
        struct model made;

        while (number < wanted) {
                const struct model *one = &models[up_to(count - 1)];

                if (number > 0 && length + one->length > BYTES_MOST)
                        break;
                length += one->length;
                with[number] = one->memory;
                chosen[number++] = one;
        }
        made = model_new(length);
        length = 0;
        for (uint32_t i = 0; i < number; i++) {
                model_add(&made, length, chosen[i], 0, chosen[i]->length);
                length += chosen[i]->length;
        }
        made.memory = joined_of(with, number);
        return made;
}

static bool mappable(const struct model *model, uint64_t offset, uint64_t length)
{
        for (uint64_t i = offset + 1; i < offset + length; i++)
                if (model->begins[i] && ((model->bytes[i] & 0xffffff) % P || ((model->bytes[i - 1] & 0xffffff) + 1) % P))
                        return false;
        return length > 0;
}

static void model_check(const struct model *model)
{
        uint64_t offset = place_up_to(model->length), length = place_up_to(model->length - offset);
        IOMemoryMap *m = MARK;

        if (rand() % 2) {
                offset = 0;
                length = model->length;
        }
        if (!mappable(model, offset, length)) {
                /* length 0 means all of it */
                if (length > 0)
                        ck_assert_int_eq(map(model->memory, 0, 0, offset, length, &m), kIOReturnError);
                ck_assert_ptr_eq(m, MARK);
                return;
        }
        ck_assert_int_eq(map(model->memory, 0, 0, offset, length, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), length);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, (model->bytes[offset] & 0xffffff) % P);
        for (uint64_t i = 0; i < length; i++) {
                uint32_t byte = model->bytes[offset + i], place = byte & 0xffffff;

                if (at(m)[i] != (uint8_t)((byte >> 24) * 50 + place / P * 7 + place % 251))
                        ck_abort_msg("byte %llu of %llu", (unsigned long long)i, (unsigned long long)length);
        }
        OSObject_release(m);
}

static void any_descriptors_of(unsigned int seed)
{
        struct model models[MODELS];
        uint32_t count = 0;

        srand(seed);
        for (; count < BUFFERS; count++)
                models[count] = model_buffer(count + 1, rand() % 2 ? (1 + up_to(3)) * P : 1 + up_to(4 * P));
        for (; count < MODELS; count++) {
                models[count] = rand() % 2 ? model_part(&models[up_to(count - 1)]) : model_joined(models, count);
                model_check(&models[count]);
        }
        /* In any order, and what is left stays good. */
        for (; count > 0; count--) {
                uint32_t which = (uint32_t)up_to(count - 1);

                OSObject_release(models[which].memory);
                free(models[which].bytes);
                free(models[which].begins);
                models[which] = models[count - 1];
                if (count > 1)
                        model_check(&models[up_to(count - 2)]);
        }
}

START_TEST(any_descriptors)
{
        for (unsigned int seed = 1; seed <= 40; seed++)
                any_descriptors_of(seed);
}
END_TEST

int main(void)
{
        return run_suite("memory-model", any_descriptors);
}
